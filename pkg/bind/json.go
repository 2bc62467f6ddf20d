package bind

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"example.com/pizza/pkg/fault"
)

// The rules of I-JSON (RFC 7493, sections 2.1 and 2.3) that encoding/json does not
// check. It reads a lone surrogate and an invalid byte as U+FFFD, so different texts
// become equal, and uses the last of two fields with one name.
const (
	mustBeUTF8 = "must be UTF-8"
	mustBeText = "must not contain half of a surrogate pair"
	mustBeOnce = "must be given once"
)

// kind is the type of a value.
type kind int

const (
	other kind = iota // a number, true or false
	null
	text
	list
	object
	formText // the text of a form field
)

// value is one value as it was sent, or the text of a form field.
type value struct {
	kind   kind
	raw    string  // the JSON text
	text   string  // of text and formText: the decoded text
	fields []field // of an object, each name once
	items  []value // of a list
	broken bool    // already reported
}

type field struct {
	name string
	value
}

// find returns the field with this name.
func (v value) find(name string) (value, bool) {
	for _, f := range v.fields {
		if f.name == name {
			return f.value, true
		}
	}
	return value{}, false
}

// report is the list of bad fields.
type report struct{ bad []fault.Field }

// The bounds of a report, so that a body full of errors has a short answer.
const (
	maxReported = 100
	maxPath     = 200 // bytes
)

func (r *report) reject(path, rule string) {
	if len(r.bad) >= maxReported {
		return
	}
	if path = strings.ToValidUTF8(path, string(utf8.RuneError)); len(path) > maxPath {
		path = strings.ToValidUTF8(path[:maxPath], "") + "…"
	}
	r.bad = append(r.bad, fault.Field{Field: path, Message: rule})
}

func (r *report) err() error {
	if len(r.bad) == 0 {
		return nil
	}
	return fault.InvalidFields(r.bad...)
}

// place is the position of a value. Its path is only built for an error.
type place struct {
	above *place
	path  string // of the outermost
	name  string // of a field
	index int    // of an item, where isItem
	item  bool
}

func (p *place) String() string {
	switch {
	case p.above == nil:
		return p.path
	case p.item:
		return p.above.String() + "[" + strconv.Itoa(p.index) + "]"
	}
	if above := p.above.String(); above != "" {
		return above + "." + p.name
	}
	return p.name
}

// parse reads a JSON text at a path, and reports violations of I-JSON, also in unknown
// fields. ok is false if the text is not JSON.
func parse(s []byte, path string, r *report) (v value, ok bool) {
	if !json.Valid(s) {
		return value{}, false
	}
	p := parser{s: string(s), report: r}
	return p.value(&place{path: path}), true
}

// parser splits a valid JSON text.
type parser struct {
	s string
	i int
	*report
}

// next skips blanks and returns the byte there.
func (p *parser) next() byte {
	for p.s[p.i] == ' ' || p.s[p.i] == '\t' || p.s[p.i] == '\n' || p.s[p.i] == '\r' {
		p.i++
	}
	return p.s[p.i]
}

func (p *parser) value(at *place) (v value) {
	p.next()
	start := p.i
	switch p.s[start] {
	case '{':
		v = p.object(at)
	case '[':
		v = p.list(at)
	case '"':
		said, rule := p.text()
		if rule != "" {
			p.reject(at.String(), rule)
		}
		v = value{kind: text, text: said, broken: rule != ""}
	default:
		for p.i < len(p.s) && !strings.ContainsRune(",]} \t\r\n", rune(p.s[p.i])) {
			p.i++
		}
		if p.s[start] == 'n' {
			v.kind = null
		}
	}
	v.raw = p.s[start:p.i]
	return v
}

func (p *parser) list(at *place) value {
	v := value{kind: list}
	p.i++
	if p.next() == ']' {
		p.i++
		return v
	}
	for {
		v.items = append(v.items, p.value(&place{above: at, index: len(v.items), item: true}))
		end := p.next() == ']'
		p.i++
		if end {
			return v
		}
	}
}

func (p *parser) object(at *place) value {
	v := value{kind: object}
	p.i++
	if p.next() == '}' {
		p.i++
		return v
	}
	var seen map[string]int // only of large objects: the others are read faster without
	const large = 16
	for {
		p.next()
		name, rule := p.text()
		here := place{above: at, name: name}
		if rule != "" {
			p.reject(here.String(), "has a name that "+rule)
		}
		p.next()
		p.i++ // the colon
		f := field{name, p.value(&here)}

		before := -1
		if seen == nil {
			for i := range v.fields {
				if v.fields[i].name == name {
					before = i
				}
			}
		} else if i, is := seen[name]; is {
			before = i
		}
		if before >= 0 {
			if !v.fields[before].broken {
				p.reject(here.String(), mustBeOnce)
			}
			v.fields[before].broken = true
		} else {
			v.fields = append(v.fields, f)
			if seen != nil {
				seen[name] = len(v.fields) - 1
			} else if len(v.fields) > large {
				seen = make(map[string]int, 4*large)
				for i := range v.fields {
					seen[v.fields[i].name] = i
				}
			}
		}
		end := p.next() == '}'
		p.i++
		if end {
			return v
		}
	}
}

// text reads a string, and returns the rule that it breaks, or "".
func (p *parser) text() (said, rule string) {
	p.i++
	start, escaped := p.i, false
	for ; p.s[p.i] != '"'; p.i++ {
		if p.s[p.i] == '\\' {
			escaped = true
			p.i++ // a quote may follow
		}
	}
	raw := p.s[start:p.i]
	p.i++
	if !utf8.ValidString(raw) {
		rule = mustBeUTF8
	}
	if !escaped {
		return raw, rule
	}
	said, whole := unescape(raw)
	if !whole {
		rule = mustBeText
	}
	return said, rule
}

// unescape returns the decoded string. whole is false if it has half of a surrogate
// pair.
func unescape(raw string) (said string, whole bool) {
	var b strings.Builder
	b.Grow(len(raw))
	whole = true
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			continue
		}
		i++
		switch raw[i] {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				second := rune(0)
				if strings.HasPrefix(raw[i+1:], `\u`) {
					second = hex4(raw[i+3:])
				}
				if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
					whole = false
				} else {
					i += len(`\uDC00`)
				}
			}
			b.WriteRune(r)
		default: // a quote, a slash or a backslash
			b.WriteByte(raw[i])
		}
	}
	return b.String(), whole
}

// hex4 reads the four digits of an escape.
func hex4(s string) rune {
	n, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		panic("bind: json.Valid let a bad escape through: " + err.Error())
	}
	return rune(n)
}
