package parity

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed rules.yaml
var defaultRules []byte

// Rule expects differences. A rule without old or new accepts anything there.
type Rule struct {
	Path   string   `json:"path"` // a regular expression, like old and new, for all of the text
	What   []string `json:"what"` // as Difference.What; * in a pointer is any key or index
	Old    string   `json:"old,omitempty"`
	New    string   `json:"new,omitempty"`
	Reason string   `json:"reason"`

	path, old, new *regexp.Regexp
}

// Rules are all intended differences.
type Rules []Rule

// ReadRules reads a file of rules, YAML or JSON. Without a name it returns the differences
// between the design document's monolith and the contract of the services.
func ReadRules(name string) (Rules, error) {
	content := defaultRules
	if name != "" {
		var err error
		if content, err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	var rules Rules
	if err := yaml.UnmarshalStrict(content, &rules); err != nil {
		return nil, fmt.Errorf("rules %s: %w", name, err)
	}
	for i := range rules {
		if err := rules[i].compile(); err != nil {
			return nil, fmt.Errorf("rules %s: rule %d: %w", name, i+1, err)
		}
	}
	return rules, nil
}

func (r *Rule) compile() error {
	if r.Path == "" || len(r.What) == 0 || r.Reason == "" {
		return errors.New("path, what and reason are required")
	}
	for _, what := range r.What {
		if !regexp.MustCompile(`^(status|header [A-Z][\w-]*|body( /.*)?)$`).MatchString(what) {
			return fmt.Errorf("what %q is not status, header Name, body or body /pointer", what)
		}
	}
	var errs [3]error
	r.path, errs[0] = whole(r.Path)
	r.old, errs[1] = whole(r.Old)
	r.new, errs[2] = whole(r.New)
	return errors.Join(errs[:]...)
}

// whole compiles a pattern for all of a text.
func whole(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		pattern = ".*"
	}
	return regexp.Compile("(?s)^(?:" + pattern + ")$")
}

// expects reports whether a difference of the path is intended.
func (r *Rule) expects(path string, d *Difference) bool {
	if !r.path.MatchString(path) || !r.old.MatchString(d.Old) || !r.new.MatchString(d.New) {
		return false
	}
	for _, what := range r.What {
		if matches(strings.Split(what, "/"), strings.Split(d.What, "/")) {
			return true
		}
	}
	return false
}

func matches(pattern, what []string) bool {
	if len(pattern) != len(what) {
		return false
	}
	for i := range pattern {
		if pattern[i] != "*" && pattern[i] != what[i] {
			return false
		}
	}
	return true
}

// judge adds the differences to a result: those of the same kind as one, with the reason of
// the first rule that expects them.
func (rules Rules) judge(result *Result, found []Difference) {
	path, _, _ := strings.Cut(result.Path, "?")
	result.matched = make([]int, len(rules))
	result.tried = make([]bool, len(rules))
	for i := range rules {
		result.tried[i] = rules[i].path.MatchString(path)
	}
	type key struct{ what, kind, reason string }
	at := map[key]int{}
	for _, d := range found {
		for i := range rules {
			if rules[i].expects(path, &d) {
				result.matched[i]++
				d.Reason = rules[i].Reason
				break
			}
		}
		k := key{d.What, d.Kind, d.Reason}
		if i, known := at[k]; known {
			result.Differences[i].Count++
			continue
		}
		at[k] = len(result.Differences)
		if result.Diff == "" && d.Reason == "" {
			result.Diff = around(d)
		}
		d.Old, d.New = short(d.Old, shown), short(d.New, shown)
		result.Differences = append(result.Differences, d)
	}
}
