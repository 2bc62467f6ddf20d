// Package configtest keeps what is written about a configuration equal to the
// code: the tables of a README, each between the lines <!-- config NAME --> and
// <!-- end -->, and the rules of settings that the schemas of the charts contain.
// UPDATE_README=1 go test writes both.
package configtest

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/secret"
)

// Readme fails the test where the table of a service is not what its
// configuration struct says, or where a variable with the name of a secret is of
// a type that can be seen.
func Readme(tb testing.TB, file, service string, configuration reflect.Type) {
	tb.Helper()
	mustHideSecrets(tb, configuration)
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), "<!-- config "+service+" -->\n")
	if !ok {
		tb.Fatalf("%s has no table for %s", file, service)
	}
	table, tail, ok := strings.Cut(rest, "<!-- end -->")
	if !ok {
		tb.Fatalf("the table for %s in %s has no end", service, file)
	}
	want := config.Markdown(configuration)
	current(tb, file, table, want, head+"<!-- config "+service+" -->\n"+want+"<!-- end -->"+tail)
}

// Rules fails the test where a file is not the rules of a configuration struct as
// JSON Schema, by the names of the variables. Secrets are marked as such.
func Rules(tb testing.TB, file string, configuration reflect.Type) {
	tb.Helper()
	rules := map[string]any{}
	for _, v := range config.Describe(configuration) {
		rule := map[string]any{"description": v.Doc}
		switch {
		case v.Rule.List:
			rule["type"], rule["items"] = "array", text(v.Rule.Patterns)
		case v.Type.Kind() == reflect.Bool:
			rule["type"] = []string{"string", "boolean"}
		default:
			maps.Copy(rule, text(v.Rule.Patterns))
		}
		if isSecret(v.Name) {
			rule["writeOnly"] = true
		}
		if v.Default != "" {
			rule["default"] = v.Default
		}
		rules[v.Name] = rule
	}
	want, err := json.MarshalIndent(rules, "", "  ")
	if err != nil {
		tb.Fatal(err)
	}
	have, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		tb.Fatal(err)
	}
	want = append(want, '\n')
	current(tb, file, string(have), string(want), string(want))
}

// text is the schema of a text that matches all patterns.
func text(patterns []string) map[string]any {
	schema := map[string]any{"type": "string"}
	var all []any
	for _, p := range patterns {
		all = append(all, map[string]any{"pattern": p})
	}
	if len(all) > 0 {
		schema["allOf"] = all
	}
	return schema
}

// current fails the test where have is not want, or writes the file anew.
func current(tb testing.TB, file, have, want, contents string) {
	tb.Helper()
	if os.Getenv("UPDATE_README") != "" {
		if err := os.WriteFile(file, []byte(contents), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have); diff != "" {
		tb.Errorf("%s differs from the configuration (UPDATE_README=1 go test fixes it):\n%s", file, diff)
	}
}

// mustHideSecrets looks at every variable of a configuration.
func mustHideSecrets(tb testing.TB, t reflect.Type) {
	tb.Helper()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
		of := f.Type
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		switch {
		case name == "" && of.Kind() == reflect.Struct:
			mustHideSecrets(tb, of)
		case isSecret(name) && of != reflect.TypeFor[secret.Text]():
			tb.Errorf("%s is a %s, which a log would show: make it a secret.Text", name, f.Type)
		}
	}
}

// isSecret tells by the end of its name, as operators do, that a variable holds a
// secret.
func isSecret(name string) bool {
	return slices.ContainsFunc([]string{"PASSWORD", "SECRET", "SECRET_PREVIOUS", "TOKEN"}, func(end string) bool { return strings.HasSuffix(name, end) })
}
