package bind

import (
	"iter"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// pairs reads a form or a query by the URL Standard
// (https://url.spec.whatwg.org/#urlencoded-parsing): only & separates, a semicolon is a
// character, and so is a % without two hexadecimal digits. Unlike there, invalid UTF-8
// is kept, for the caller to reject.
func pairs(s string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for pair := range strings.SplitSeq(s, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if pair != "" && !yield(decode(name), decode(value)) {
				return
			}
		}
	}
}

// decode decodes percent-encoding.
func decode(s string) string {
	if !strings.ContainsAny(s, "+%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			out = append(out, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, fromHex(s[i+1])<<4|fromHex(s[i+2]))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(c byte) byte {
	if c >= 'A' {
		return c&^('a'-'A') - 'A' + 10
	}
	return c - '0'
}

// Form reads an application/x-www-form-urlencoded body into the struct that
// target points to. A field that is not a string, such as a list, is sent as JSON text.
// It returns Invalid.
func Form(body []byte, target any) error {
	var w walk
	var form value
	index := map[string]int{}
	for name, said := range pairs(string(body)) {
		if !utf8.ValidString(name) {
			w.reject(name, "has a name that "+mustBeUTF8)
			continue
		}
		i, twice := index[name]
		if !twice {
			i = len(form.fields)
			index[name] = i
			form.fields = append(form.fields, field{name, value{kind: formText, raw: said, text: said}})
		}
		switch f := &form.fields[i]; {
		case f.broken:
		case !utf8.ValidString(said):
			w.reject(name, mustBeUTF8)
			f.broken = true
		case twice && isFieldOf(target, name):
			w.reject(name, mustBeOnce)
			f.broken = true
		}
	}
	return w.read(form, target)
}

// Query returns the query of a URL with the named parameters alone, in a form that every
// reader understands alike. It returns Invalid for a duplicate parameter and for one
// that is not UTF-8.
func Query(raw string, names []string) (string, error) {
	var bad report
	values := url.Values{}
	for name, value := range pairs(raw) {
		switch {
		case !slices.Contains(names, name):
		case values.Has(name):
			bad.reject(name, mustBeOnce)
		case !utf8.ValidString(value):
			bad.reject(name, mustBeUTF8)
		case strings.ContainsRune(value, 0):
			bad.reject(name, noNUL)
		default:
			values.Set(name, value)
		}
	}
	return values.Encode(), bad.err()
}
