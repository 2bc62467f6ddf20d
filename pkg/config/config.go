// Package config reads a service's configuration from environment variables
// into a struct, once, at start.
//
// Fields have the tags of caarlos0/env, `doc` with one sentence for the reader, and `rule`
// with the rule of the text (see Rule), which the schemas of the charts repeat. A struct
// with a Validate method checks rules that concern several of its fields. Load reports all
// errors at once, by the names of the variables and never with their values, so that one
// failed start is enough to fix them all.
package config

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Load reads the environment, given as "NAME=value" lines, into a T.
func Load[T any](environ []string) (T, error) {
	environment := env.ToMap(environ)
	c, err := env.ParseAsWithOptions[T](env.Options{Environment: environment})
	found := problems{broken: map[string]bool{}}
	for _, v := range Describe(reflect.TypeFor[T]()) {
		if text, given := environment[v.Name]; given && (text != "" || v.Default != "") {
			found.breaks(v.Name, v.Rule.check(text))
		}
	}
	var all env.AggregateError
	switch {
	case errors.As(err, &all):
		for _, e := range all.Errors {
			found.explain(reflect.TypeFor[T](), e)
		}
	case err != nil:
		found.add("", err.Error())
	}
	for _, problem := range validate(reflect.ValueOf(c)) {
		name, _, _ := strings.Cut(problem, " ")
		found.add(strings.TrimSuffix(name, ":"), problem)
	}
	if len(found.lines) == 0 {
		return c, nil
	}
	sort.Strings(found.lines)
	return c, fmt.Errorf("invalid configuration:\n  - %s", strings.Join(found.lines, "\n  - "))
}

// problems are the errors of a configuration. Once a variable breaks its own rule,
// consequential errors are not reported.
type problems struct {
	broken map[string]bool
	lines  []string
}

// breaks records that a variable breaks its rule, unless problem is empty.
func (p *problems) breaks(name, problem string) {
	if problem != "" {
		p.add(name, name+problem)
		p.broken[name] = true
	}
}

func (p *problems) add(name, problem string) {
	if !p.broken[name] {
		p.lines = append(p.lines, problem)
	}
}

// validate calls Validate of a struct and of every struct in it.
func validate(v reflect.Value) []string {
	var problems []string
	if c, ok := v.Interface().(interface{ Validate() error }); ok {
		if err := c.Validate(); err != nil {
			problems = strings.Split(err.Error(), "\n")
		}
	}
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Struct && v.Type().Field(i).IsExported() {
			problems = append(problems, validate(f)...)
		}
	}
	return problems
}

// explain converts an error about a Go field to one about its variable.
func (p *problems) explain(t reflect.Type, err error) {
	var parse env.ParseError
	var unset env.VarIsNotSetError
	var empty env.EmptyVarError
	switch {
	case errors.As(err, &unset):
		p.add(unset.Key, unset.Key+" is required")
	case errors.As(err, &empty):
		p.add(empty.Key, empty.Key+" must not be empty")
	case errors.As(err, &parse):
		name := variableOf(t, parse)
		p.add(name, name+" cannot be read") // a type can refuse more than its rule does
	default:
		p.add("", err.Error())
	}
}

func variableOf(t reflect.Type, err env.ParseError) string {
	for _, v := range Describe(t) {
		if v.field == err.Name && v.Type == err.Type {
			return v.Name
		}
	}
	return err.Name
}

// Variable describes one environment variable.
type Variable struct {
	Name     string
	Default  string
	Required bool
	Doc      string
	Type     reflect.Type
	Rule     Rule

	field string
}

// Describe lists the variables of a configuration struct in the order of its
// fields.
func Describe(t reflect.Type) []Variable {
	var out []Variable
	for i := range t.NumField() {
		f := t.Field(i)
		tag, tagged := f.Tag.Lookup("env")
		if !tagged && f.Type.Kind() == reflect.Struct {
			out = append(out, Describe(f.Type)...)
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			continue
		}
		out = append(out, Variable{
			Name: name, Default: f.Tag.Get("envDefault"), Doc: f.Tag.Get("doc"),
			Required: strings.Contains(options, "required"), Type: f.Type, Rule: ruleOf(f), field: f.Name,
		})
	}
	return out
}
