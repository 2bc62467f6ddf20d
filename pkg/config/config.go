// Package config reads a service's configuration from environment variables
// into a struct, once, at start.
//
// Fields carry the tags of caarlos0/env, and `doc` with one sentence for the
// reader. A field that is a struct with a Validate method checks its own rules.
// Load reports everything that is wrong at once, by the variable's name and
// never with its value, so that one failed start is enough to mend it all.
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
	c, err := env.ParseAsWithOptions[T](env.Options{Environment: env.ToMap(environ)})
	problems := validate(reflect.ValueOf(c))
	var all env.AggregateError
	switch {
	case errors.As(err, &all):
		for _, e := range all.Errors {
			problems = append(problems, explain(reflect.TypeFor[T](), e))
		}
	case err != nil:
		problems = append(problems, err.Error())
	}
	if len(problems) == 0 {
		return c, nil
	}
	sort.Strings(problems)
	return c, fmt.Errorf("the configuration is not usable:\n  - %s", strings.Join(problems, "\n  - "))
}

// validate asks the struct and every struct in it.
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

// explain turns an error about a Go field into one about its variable.
func explain(t reflect.Type, err error) string {
	var parse env.ParseError
	var unset env.VarIsNotSetError
	var empty env.EmptyVarError
	switch {
	case errors.As(err, &unset):
		return unset.Key + " is required"
	case errors.As(err, &empty):
		return empty.Key + " must not be empty"
	case errors.As(err, &parse):
		return fmt.Sprintf("%s is not a valid %s", variableOf(t, parse.Name), kindOf(parse.Type))
	default:
		return err.Error()
	}
}

func kindOf(t reflect.Type) string {
	switch t.String() {
	case "time.Duration":
		return `duration (such as "5s")`
	case "int", "int32", "uint16", "uint32":
		return "whole number"
	case "bool":
		return "boolean (true or false)"
	case "time.Location":
		return `time zone (such as "Asia/Seoul")`
	case "[]netip.Prefix":
		return `list of address ranges (such as "10.0.0.0/8,fd00::/8")`
	case "ratelimit.Rate":
		return `rate (such as "10/m", "5/15m" or "off")`
	default:
		return "value"
	}
}

func variableOf(t reflect.Type, field string) string {
	for _, v := range Describe(t) {
		if v.field == field {
			return v.Name
		}
	}
	return field
}

// Variable is one environment variable, as the documentation shows it.
type Variable struct {
	Name     string
	Default  string
	Required bool
	Doc      string

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
			Required: strings.Contains(options, "required"), field: f.Name,
		})
	}
	return out
}

// Markdown returns the variables of a configuration struct as a table.
func Markdown(t reflect.Type) string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range Describe(t) {
		def := "`" + v.Default + "`"
		switch {
		case v.Required:
			def = "**required**"
		case v.Default == "":
			def = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Name, def, v.Doc)
	}
	return b.String()
}
