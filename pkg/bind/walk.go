package bind

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

// maxWhole is the largest integer that all JSON implementations represent exactly:
// 2^53-1 (RFC 8259, section 6).
const maxWhole = 1<<53 - 1

const (
	mustBeObject = "must be an object"
	noNUL        = "must not contain a NUL character" // PostgreSQL cannot store it in text
)

// walk fills a struct and reports every bad field.
type walk struct{ report }

func (w *walk) fill(v value, target reflect.Value, prefix string) {
	given := make(map[string]int) // the field that gives a value, by the first of its names
	for i := range target.NumField() {
		tag := target.Type().Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		f, ok := v.find(name)
		switch {
		case !ok || f.kind == null && !f.broken:
			continue
		case f.broken:
			if t := target.Field(i); t.Kind() == reflect.Pointer {
				t.Set(reflect.New(t.Type().Elem())) // it was sent, and under this name
			}
			continue
		case !w.set(f, target.Field(i), prefix+name):
			continue
		}
		first := tag.Get("alias")
		if first == "" {
			first = name
		}
		if j, twice := given[first]; !twice {
			given[first] = i
		} else if !reflect.DeepEqual(target.Field(i).Interface(), target.Field(j).Interface()) {
			other, _, _ := strings.Cut(target.Type().Field(j).Tag.Get("json"), ",")
			w.reject(prefix+name, "must not differ from "+other+", which is the same field")
		}
	}
}

// set reads a value, and returns false if it reported a bad one.
func (w *walk) set(v value, target reflect.Value, path string) bool {
	before := len(w.bad)
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if u, ok := target.Addr().Interface().(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON([]byte(v.raw)); err != nil {
			w.reject(path, err.Error())
			return false
		}
		return true
	}
	switch target.Kind() {
	case reflect.String:
		w.setString(v, target, path)
	case reflect.Int, reflect.Int32, reflect.Int64:
		w.setInt(v, target, path)
	case reflect.Bool:
		if v.raw != "true" && v.raw != "false" {
			w.reject(path, "must be true or false")
			break
		}
		target.SetBool(v.raw == "true")
	case reflect.Slice:
		w.setSlice(w.inForm(v, path), target, path)
	case reflect.Struct:
		if v = w.inForm(v, path); v.kind != object {
			w.reject(path, mustBeObject)
			break
		}
		w.fill(v, target, path+".")
	default:
		panic(fmt.Sprintf("bind: field %s: no rule to read a %s", path, target.Type()))
	}
	return len(w.bad) == before
}

// inForm reads a form field that is not plain text, as JSON.
func (w *walk) inForm(v value, path string) value {
	if v.kind != formText {
		return v
	}
	read, _ := parse([]byte(v.text), path, &w.report)
	return read
}

func (w *walk) setString(v value, target reflect.Value, path string) {
	switch {
	case v.kind != text && v.kind != formText:
		w.reject(path, "must be a string")
	case strings.ContainsRune(v.text, 0):
		w.reject(path, noNUL)
	default:
		target.SetString(v.text)
	}
}

// setInt accepts every spelling of an integer that JSON allows: 2, 2.0, 2e0.
func (w *walk) setInt(v value, target reflect.Value, path string) {
	f, err := strconv.ParseFloat(v.raw, 64)
	switch {
	case !json.Valid([]byte(v.raw)) || (err != nil && !math.IsInf(f, 0)):
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
	if v.kind != list {
		w.reject(path, "must be a list")
		return
	}
	slice := reflect.MakeSlice(target.Type(), len(v.items), len(v.items))
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case item.broken:
		case item.kind == null:
			w.reject(at, "must not be null")
		default:
			w.set(item, slice.Index(i), at)
		}
	}
	target.Set(slice)
}
