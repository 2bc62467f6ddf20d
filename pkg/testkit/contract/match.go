package contract

import (
	"fmt"
	"maps"
	"math"
	"mime"
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

// formats returns the rules that are named regular expressions.
func formats() map[string]string {
	return map[string]string{
		"date":      `^\d{4}-\d{2}-\d{2}$`,
		"time":      `^\d{2}:\d{2}:\d{2}$`,
		"date-time": `^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$`,
		"uuid":      `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`,
	}
}

// matcher compares a response with an example and collects the problems.
type matcher struct {
	rules    map[string]string         // exact, each or integer, by path
	patterns map[string]*regexp.Regexp // by path
	used     map[string]bool
	problems problems
}

func newMatcher(match map[string]string) (*matcher, error) {
	m := &matcher{map[string]string{}, map[string]*regexp.Regexp{}, map[string]bool{}, nil}
	for path, rule := range match {
		pattern, named := formats()[rule]
		switch {
		case rule == exact, rule == each, rule == integer:
			m.rules[path] = rule
			continue
		case strings.HasPrefix(rule, "^"):
			pattern = rule
		case !named:
			return nil, fmt.Errorf("%s: there is no rule %q", path, rule)
		}
		compiled, err := regexp.Compile(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		m.patterns[path] = compiled
	}
	return m, nil
}

func (m *matcher) wrong(path, format string, args ...any) { m.problems.add(path, format, args...) }

// problems are errors, each with its path in front. The same problem in several
// elements of a list is kept once.
type problems []error

func (p *problems) add(path, format string, args ...any) {
	problem := fmt.Errorf(path+": "+format, args...)
	if !slices.ContainsFunc(*p, func(known error) bool { return known.Error() == problem.Error() }) {
		*p = append(*p, problem)
	}
}

// unused adds a problem for each rule that applied to nothing.
func (m *matcher) unused() {
	for _, paths := range []map[string]bool{keys(m.rules), keys(m.patterns)} {
		for _, path := range slices.Sorted(maps.Keys(paths)) {
			if !m.used[path] {
				m.wrong(path, "the rule matches no field of the example")
			}
		}
	}
}

func keys[V any](of map[string]V) map[string]bool {
	all := map[string]bool{}
	for k := range of {
		all[k] = true
	}
	return all
}

// headers compares the headers of a response.
func (m *matcher) headers(want map[string]string, got func(name string) []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		path := "headers." + name
		values := got(name)
		if len(values) == 0 {
			m.wrong(path, "is missing")
			continue
		}
		value := strings.Join(values, ", ")
		switch pattern := m.patterns[path]; {
		case pattern != nil:
			m.pattern(path, pattern, value)
		case strings.EqualFold(name, "Content-Type"):
			if media(want[name]) != media(value) {
				m.wrong(path, "is %q, want %q", value, want[name])
			}
		case value != want[name]:
			m.wrong(path, "is %q, want %q", value, want[name])
		}
	}
}

// media returns a media type without its parameters.
func media(contentType string) string {
	m, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType
	}
	return m
}

func (m *matcher) pattern(path string, pattern *regexp.Regexp, got any) {
	m.used[path] = true
	if text, ok := got.(string); !ok || !pattern.MatchString(text) {
		m.wrong(path, "is %v, which %s does not match", show(got), pattern)
	}
}

// value compares a value of a response with that of the example.
func (m *matcher) value(path string, want, got any) {
	if pattern := m.patterns[path]; pattern != nil {
		m.pattern(path, pattern, got)
		return
	}
	rule := m.rules[path]
	m.used[path] = true
	if rule == exact {
		if !reflect.DeepEqual(want, got) {
			m.wrong(path, "is %s, want %s", show(got), show(want))
		}
		return
	}
	if kind(want) != kind(got) {
		m.wrong(path, "is %s, want %s", kind(got), kind(want))
		return
	}
	switch want := want.(type) {
	case map[string]any:
		m.object(path, want, got.(map[string]any))
	case []any:
		m.list(path, rule == each, want, got.([]any))
	case float64:
		if n := got.(float64); rule == integer && n != math.Trunc(n) {
			m.wrong(path, "is %v, want a whole number", n)
		}
	}
}

func (m *matcher) object(path string, want, got map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		inner := path + "." + name
		if value, there := got[name]; there {
			m.value(inner, want[name], value)
		} else {
			m.wrong(inner, "is missing: there is %q", slices.Sorted(maps.Keys(got)))
		}
	}
}

func (m *matcher) list(path string, each bool, want, got []any) {
	switch {
	case each && len(want) != 1:
		m.wrong(path, "the example of a list of any length has 1 element, not %d", len(want))
	case each && len(got) == 0:
		m.wrong(path, "is empty")
	case each:
		for _, value := range got {
			m.value(path+"[]", want[0], value)
		}
	case len(want) != len(got):
		m.wrong(path, "has %d elements, want %d", len(got), len(want))
	default:
		for n := range want {
			m.value(path+"[]", want[n], got[n])
		}
	}
}

// kind returns the JSON type of a value.
func kind(of any) string {
	switch of.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return "text"
	case []any:
		return "a list"
	default:
		return "an object"
	}
}

func show(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(value)
}
