package parity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"example.com/pizza/pkg/secret"
)

// absent stands for a header or a key that one side does not have.
const absent = "absent"

// Answer is what a system answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Difference is one thing that differs between two answers.
type Difference struct {
	What   string `json:"what"`         // "status", "header Location", "body /*/price" with * for an index
	At     string `json:"at,omitempty"` // where in the old body, such as /3/price
	Kind   string `json:"kind"`         // value, order, length or unicode
	Old    string `json:"old"`          // JSON in a body; absent if there is none
	New    string `json:"new"`
	Count  int    `json:"count"`            // how often in the answer
	Reason string `json:"reason,omitempty"` // why it is intended
	near   [2]any // the objects that contain the first one, for people
}

// compare returns all differences between two answers. Between a success and an error, or a
// redirect, the status stands for everything else.
func compare(old, ours *Answer) []Difference {
	var w walker
	if old.Status != ours.Status {
		w.add("status", "", "value", strconv.Itoa(old.Status), strconv.Itoa(ours.Status))
	}
	if old.Status/100 != ours.Status/100 {
		return w.found
	}
	for _, name := range []string{"Content-Type", "Location"} {
		if o, n := header(old, name), header(ours, name); o != n {
			w.add("header "+name, "", "value", o, n)
		}
	}
	w.bodies(old.Body, ours.Body)
	return w.found
}

// header returns a header without differences that mean nothing.
func header(a *Answer, name string) string {
	if len(a.Header.Values(name)) == 0 {
		return absent
	}
	value := a.Header.Get(name)
	if name != "Content-Type" {
		return value
	}
	kind, parameters, err := mime.ParseMediaType(value)
	if err != nil {
		return value
	}
	if charset := strings.ToLower(parameters["charset"]); charset != "" && charset != "utf-8" {
		kind += "; charset=" + charset
	}
	return kind
}

// walker walks through two bodies, and collects what differs.
type walker struct {
	found []Difference
	near  [2]any
}

func (w *walker) add(what, at, kind, old, ours string) {
	w.found = append(w.found, Difference{What: what, At: at, Kind: kind, Old: old, New: ours, Count: 1, near: w.near})
}

func (w *walker) bodies(old, ours []byte) {
	if bytes.Equal(old, ours) {
		return
	}
	o, oldErr := decode(old)
	n, newErr := decode(ours)
	switch {
	case oldErr == nil && newErr == nil:
		w.near = [2]any{o, n}
		w.value(place{}, o, n)
	case oldErr != nil && newErr != nil:
		w.add("body", "", "value", text(old), text(ours))
	case oldErr != nil:
		w.add("body", "", "value", text(old), show(place{}, n))
	default:
		w.add("body", "", "value", show(place{}, o), text(ours))
	}
}

// decode reads JSON, with numbers as they are written.
func decode(body []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the value")
	}
	return value, nil
}

// text describes a body that is not JSON.
func text(body []byte) string {
	if len(body) == 0 {
		return absent
	}
	return fmt.Sprintf("not JSON: %.200q", body)
}

// place is a JSON pointer (RFC 6901), as it is, and with * for indices.
type place struct {
	at, wild string
	secret   bool // the value must not be shown
}

func (p place) key(name string) place {
	escaped := "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	return place{p.at + escaped, p.wild + escaped, p.secret || isSecret(name)}
}

func (p place) index(i int) place {
	return place{p.at + "/" + strconv.Itoa(i), p.wild + "/*", p.secret}
}

func (p place) what() string { return strings.TrimSpace("body " + p.wild) }

// isSecret reports whether a key of a body has a secret as its value.
func isSecret(key string) bool {
	return slices.Contains([]string{"token", "access", "refresh", "pw", "password", "member_pwd"}, strings.ToLower(key))
}

// nothing is the value of a key that is absent.
type nothing struct{}

// value compares two decoded values.
func (w *walker) value(p place, old, ours any) {
	switch o := old.(type) {
	case map[string]any:
		if n, ok := ours.(map[string]any); ok {
			w.object(p, o, n)
			return
		}
	case []any:
		if n, ok := ours.([]any); ok {
			w.array(p, o, n)
			return
		}
	}
	if canonical(old, nil) == canonical(ours, nil) {
		return
	}
	kind, oldText, newText := "value", show(p, old), show(p, ours)
	o, isText := old.(string)
	n, areTexts := ours.(string)
	if isText && areTexts && norm.NFC.String(o) == norm.NFC.String(n) {
		kind = "unicode"
		if !p.secret { // the two look alike
			oldText, newText = strconv.QuoteToASCII(o), strconv.QuoteToASCII(n)
		}
	}
	w.add(p.what(), p.at, kind, oldText, newText)
}

func (w *walker) object(p place, old, ours map[string]any) {
	outside := w.near
	defer func() { w.near = outside }()
	w.near = [2]any{old, ours}
	keys := maps.Clone(old)
	maps.Copy(keys, ours)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		o, inOld := old[key]
		n, inNew := ours[key]
		if !inOld {
			o = nothing{}
		}
		if !inNew {
			n = nothing{}
		}
		w.value(p.key(key), o, n)
	}
}

// array pairs the elements of two arrays, equal ones first, and compares the pairs. What
// only one side knows of its elements does not stop them from being equal. The order differs
// if the pairs cross.
func (w *walker) array(p place, old, ours []any) {
	pairs := pair(old, ours)
	if len(old) != len(ours) {
		w.add(p.what(), p.at, "length", elements(old), elements(ours))
	}
	last, crossed := -1, false
	for i, partner := range pairs {
		if partner < 0 {
			continue
		}
		crossed = crossed || partner < last
		last = partner
		w.value(p.index(i), old[i], ours[partner])
	}
	if crossed {
		w.add(p.what(), p.at, "order", elements(old)+" in another order", elements(ours)+" in another order")
	}
}

// pair returns for each old element the index of its new one, or -1.
func pair(old, ours []any) []int {
	common := keysOf(old)
	inNew := keysOf(ours)
	maps.DeleteFunc(common, func(key string, _ bool) bool { return !inNew[key] })
	waiting := map[string][]int{}
	for i, n := range ours {
		text := canonical(n, common)
		waiting[text] = append(waiting[text], i)
	}
	pairs := make([]int, len(old))
	left := make([]bool, len(ours))
	for i := range left {
		left[i] = true
	}
	for i, o := range old {
		pairs[i] = -1
		text := canonical(o, common)
		if same := waiting[text]; len(same) > 0 {
			pairs[i], waiting[text] = same[0], same[1:]
			left[same[0]] = false
		}
	}
	next := 0
	for i := range pairs {
		for next < len(left) && !left[next] {
			next++
		}
		if pairs[i] < 0 && next < len(left) {
			pairs[i] = next
			next++
		}
	}
	return pairs
}

func elements(list []any) string {
	if len(list) == 1 {
		return "1 element"
	}
	return strconv.Itoa(len(list)) + " elements"
}

// keysOf returns the keys of all objects of a list.
func keysOf(list []any) map[string]bool {
	keys := map[string]bool{}
	for _, element := range list {
		object, _ := element.(map[string]any)
		for key := range object {
			keys[key] = true
		}
	}
	return keys
}

// canonical returns one spelling for all that is equal to a value, of an object with those
// keys alone unless they are nil.
func canonical(value any, keys map[string]bool) string {
	var b strings.Builder
	write(&b, value, keys)
	return b.String()
}

func write(b *strings.Builder, value any, only map[string]bool) {
	switch v := value.(type) {
	case map[string]any:
		b.WriteByte('{')
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if only == nil || only[key] {
				b.WriteString(strconv.Quote(key))
				write(b, v[key], nil)
			}
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for _, element := range v {
			write(b, element, nil)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case json.Number:
		b.WriteString(decimal(v))
	case string:
		b.WriteString(strconv.Quote(v))
	case nothing:
		b.WriteString(absent)
	default:
		fmt.Fprint(b, v)
	}
}

// decimal returns one spelling for a number: 12.5, 12.50 and 1.25e1 are 125e-1. An exponent
// beyond all money is left as it is written.
func decimal(n json.Number) string {
	digits, exponent, _ := strings.Cut(strings.ToLower(n.String()), "e")
	digits, negative := strings.CutPrefix(digits, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0"
	}
	e := int64(0)
	if exponent != "" {
		var err error
		if e, err = strconv.ParseInt(exponent, 10, 32); err != nil {
			return n.String()
		}
	}
	significant := strings.TrimRight(digits, "0")
	e += int64(len(digits) - len(significant) - len(fraction))
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + significant + "e" + strconv.FormatInt(e, 10)
}

// show returns a value as JSON, without secrets.
func show(p place, value any) string {
	switch {
	case value == nothing{}:
		return absent
	case p.secret:
		return secret.Blank
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(hide(value)); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// hide returns a copy of a value without secrets.
func hide(value any) any {
	switch v := value.(type) {
	case map[string]any:
		shown := maps.Clone(v)
		for key, inner := range v {
			shown[key] = hide(inner)
			if isSecret(key) {
				shown[key] = secret.Blank
			}
		}
		return shown
	case []any:
		shown := make([]any, len(v))
		for i, inner := range v {
			shown[i] = hide(inner)
		}
		return shown
	default:
		return value
	}
}

// short cuts text to what fits on a line.
func short(text string, runes int) string {
	if utf8.RuneCountInString(text) <= runes {
		return text
	}
	return string([]rune(text)[:runes-1]) + "…"
}
