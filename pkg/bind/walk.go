package bind

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"example.com/pizza/pkg/fault"
)

// maxReported bounds the list of bad fields in one answer.
const maxReported = 100

// maxWhole is the largest whole number that JSON carries without loss between
// systems: 2^53-1 (RFC 8259, section 6).
const maxWhole = 1<<53 - 1

// value is one field as it came: JSON text, or the text of a form field.
type value struct {
	text     string
	form     bool
	repeated bool // the form has the field more than once
}

func (v value) null() bool { return !v.form && v.text == "null" }

// object splits a JSON object into its fields; ok is false for other JSON.
func object(text []byte) (fields map[string]value, ok bool) {
	text = bytes.TrimSpace(text)
	var raw map[string]json.RawMessage
	if len(text) == 0 || text[0] != '{' || json.Unmarshal(text, &raw) != nil {
		return nil, false
	}
	fields = make(map[string]value, len(raw))
	for name, t := range raw {
		fields[name] = value{text: string(bytes.TrimSpace(t))}
	}
	return fields, true
}

// read fills the struct that target points to, and returns every bad field.
func read(fields map[string]value, target any) error {
	var w walk
	w.fill(fields, reflect.ValueOf(target).Elem(), "")
	if len(w.bad) > 0 {
		return fault.InvalidFields(w.bad...)
	}
	return nil
}

type walk struct{ bad []fault.Field }

func (w *walk) reject(path, rule string) {
	if len(w.bad) < maxReported {
		w.bad = append(w.bad, fault.Field{Field: path, Message: rule})
	}
}

func (w *walk) fill(fields map[string]value, target reflect.Value, prefix string) {
	for i := range target.NumField() {
		name, _, _ := strings.Cut(target.Type().Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		if v, ok := fields[name]; ok && !v.null() {
			w.set(v, target.Field(i), prefix+name)
		}
	}
}

func (w *walk) set(v value, target reflect.Value, path string) {
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if v.repeated {
		w.reject(path, "must be given once")
		return
	}
	if u, ok := target.Addr().Interface().(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON([]byte(v.text)); err != nil {
			w.reject(path, err.Error())
		}
		return
	}
	switch target.Kind() {
	case reflect.String:
		w.setString(v, target, path)
	case reflect.Int, reflect.Int32, reflect.Int64:
		w.setInt(v, target, path)
	case reflect.Bool:
		if v.text != "true" && v.text != "false" {
			w.reject(path, "must be true or false")
			return
		}
		target.SetBool(v.text == "true")
	case reflect.Slice:
		w.setSlice(v, target, path)
	case reflect.Struct:
		fields, ok := object([]byte(v.text))
		if !ok {
			w.reject(path, "must be an object")
			return
		}
		w.fill(fields, target, path+".")
	default:
		panic(fmt.Sprintf("bind: field %s: no rule to read a %s", path, target.Type()))
	}
}

func (w *walk) setString(v value, target reflect.Value, path string) {
	s := v.text
	if !v.form {
		if err := json.Unmarshal([]byte(v.text), &s); err != nil {
			w.reject(path, "must be a string")
			return
		}
	}
	// PostgreSQL keeps no NUL in text, and no caller means one.
	if strings.ContainsRune(s, 0) {
		w.reject(path, "must not contain a NUL character")
		return
	}
	target.SetString(s)
}

// setInt takes any spelling of a whole number that JSON allows: 2, 2.0, 2e0.
func (w *walk) setInt(v value, target reflect.Value, path string) {
	f, err := strconv.ParseFloat(v.text, 64)
	switch {
	case !json.Valid([]byte(v.text)) || (err != nil && !math.IsInf(f, 0)):
		w.reject(path, "must be a whole number")
	case math.Abs(f) > maxWhole || target.OverflowInt(int64(f)):
		w.reject(path, "is out of range")
	case f != math.Trunc(f):
		w.reject(path, "must be a whole number")
	default:
		target.SetInt(int64(f))
	}
}

func (w *walk) setSlice(v value, target reflect.Value, path string) {
	var items []json.RawMessage
	if !strings.HasPrefix(strings.TrimSpace(v.text), "[") || json.Unmarshal([]byte(v.text), &items) != nil {
		w.reject(path, "must be a list")
		return
	}
	slice := reflect.MakeSlice(target.Type(), len(items), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		element := value{text: string(bytes.TrimSpace(item))}
		if element.null() {
			w.reject(at, "must not be null")
			continue
		}
		w.set(element, slice.Index(i), at)
	}
	target.Set(slice)
}
