package contract

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// Names of rules that are not regular expressions.
const (
	exact   = "exact"
	each    = "each"
	integer = "integer"
)

// matcher compares values with those of an example, and collects the differences.
type matcher struct {
	rules    map[string]string // by path
	used     map[string]bool
	problems []string
}

// match returns the differences between a value and an example. It rejects an unknown rule,
// and a rule that matches no field of the example.
func match(rules map[string]string, example, got any) error {
	m := matcher{rules, map[string]bool{}, nil}
	m.value("", example, got)
	for _, path := range slices.Sorted(maps.Keys(rules)) {
		if !m.used[path] && len(m.problems) == 0 {
			m.wrong(path, "the rule matches no field of the example")
		}
	}
	if m.problems == nil {
		return nil
	}
	return errors.New(strings.Join(m.problems, "\n"))
}

// wrong adds a problem, once for all elements of a list.
func (m *matcher) wrong(path, format string, args ...any) {
	problem := path + ": " + fmt.Sprintf(format, args...)
	if !slices.Contains(m.problems, problem) {
		m.problems = append(m.problems, problem)
	}
}

func (m *matcher) value(path string, want, got any) {
	m.used[path] = true
	switch rule := m.rules[path]; rule {
	case exact:
		if !reflect.DeepEqual(want, got) {
			m.wrong(path, "is %s, want %s", show(got), show(want))
		}
	case integer:
		if number, ok := got.(float64); !ok || number != math.Trunc(number) {
			m.wrong(path, "is %s, want a whole number", show(got))
		}
	case "", each:
		m.parts(path, want, got)
	default:
		m.text(path, rule, got)
	}
}

// text compares text with a rule that is a regular expression, or the name of one.
func (m *matcher) text(path, rule string, got any) {
	named := map[string]string{"date": `^\d{4}-\d{2}-\d{2}$`, "time": `^\d{2}:\d{2}:\d{2}$`}
	pattern, err := regexp.Compile(cmp.Or(named[rule], rule))
	text, isText := got.(string)
	switch {
	case err != nil:
		m.wrong(path, "%v", err)
	case !strings.HasPrefix(pattern.String(), "^"):
		m.wrong(path, "there is no rule %q", rule)
	case !isText || !pattern.MatchString(text):
		m.wrong(path, "is %s, which %s does not match", show(got), pattern)
	}
}

// parts compares the types, and the parts of an object or a list.
func (m *matcher) parts(path string, want, got any) {
	if reflect.TypeOf(want) != reflect.TypeOf(got) {
		m.wrong(path, "is %s, want the type of %s", show(got), show(want))
		return
	}
	switch want := want.(type) {
	case map[string]any:
		got := got.(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			inner := strings.TrimPrefix(path+"."+name, ".")
			if value, there := got[name]; there {
				m.value(inner, want[name], value)
			} else {
				m.wrong(inner, "is missing: there is %q", slices.Sorted(maps.Keys(got)))
			}
		}
	case []any:
		got := got.([]any)
		if m.rules[path] == each {
			if len(want) != 1 {
				m.wrong(path, "the example of a list of any length has 1 element, not %d", len(want))
				return
			}
			want = slices.Repeat(want, max(1, len(got)))
		}
		if len(want) != len(got) {
			m.wrong(path, "has %d elements, want %d", len(got), len(want))
			return
		}
		for n := range want {
			m.value(path+"[]", want[n], got[n])
		}
	}
}
