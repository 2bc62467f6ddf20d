// Package configtest compares the documentation of a configuration with the code:
// the tables of a document, each between the lines <!-- config NAME --> and
// <!-- end -->, and the rules in the chart schemas. With UPDATE_DOCS=1, go test
// rewrites both.
package configtest

import (
	"encoding/json"
	"errors"
	"fmt"
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

// shared lists the packages whose settings every service has, in table order.
var shared = []string{"pkg/server", "pkg/logging", "pkg/telemetry", "pkg/postgres", "pkg/redis", "pkg/events/connect"}

// Tables fails the test if a document's table of a service, or of the settings that
// all services share, differs from the configuration struct. It also fails if a
// variable with the name of a secret has a type that prints it.
func Tables(tb testing.TB, file, service string, configuration reflect.Type) {
	tb.Helper()
	common := make([]config.Variable, 0)
	of := make([][]config.Variable, len(shared))
	var own []config.Variable
	for i := range configuration.NumField() {
		field := configuration.Field(i)
		described := config.Describe(reflect.StructOf([]reflect.StructField{{Name: field.Name, Type: field.Type, Tag: field.Tag}}))
		at := slices.IndexFunc(shared, func(path string) bool { return strings.HasSuffix(field.Type.PkgPath(), "/"+path) })
		if at < 0 {
			own = append(own, described...)
			continue
		}
		of[at] = append(of[at], described...)
	}
	for i, described := range of {
		if len(described) == 0 {
			tb.Errorf("%s has no settings of %s", service, shared[i])
		}
		common = append(common, described...)
	}
	table(tb, file, "shared", common)
	table(tb, file, service, own)
	mustHideSecrets(tb, configuration)
}

// Table is like Tables, for a program without shared settings.
func Table(tb testing.TB, file, program string, configuration reflect.Type) {
	tb.Helper()
	table(tb, file, program, config.Describe(configuration))
	mustHideSecrets(tb, configuration)
}

func table(tb testing.TB, file, name string, variables []config.Variable) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	begin := "<!-- config " + name + " -->\n"
	head, rest, ok := strings.Cut(string(text), begin)
	have, tail, closed := strings.Cut(rest, "<!-- end -->")
	if !ok || !closed {
		tb.Fatalf("%s has no table between %sand <!-- end -->", file, begin)
	}
	var want strings.Builder
	want.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range variables {
		value := ""
		switch {
		case v.Required:
			value = "**required**"
		case v.Default != "":
			value = "`" + v.Default + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s |\n", v.Name, value, v.Doc)
	}
	current(tb, file, have, want.String(), head+begin+want.String()+"<!-- end -->"+tail)
}

// Rules fails the test unless the file is the JSON Schema of a configuration
// struct's rules, keyed by variable name. Secrets are marked write-only.
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

// text returns the schema of a text that matches all patterns.
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

// current fails the test if have differs from want, or rewrites the file.
func current(tb testing.TB, file, have, want, contents string) {
	tb.Helper()
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(contents), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, have); diff != "" {
		tb.Errorf("%s differs from the configuration (UPDATE_DOCS=1 go test fixes it):\n%s", file, diff)
	}
}

// mustHideSecrets fails the test if a secret is not a secret.Text.
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

// isSecret reports whether a variable holds a secret, by the suffix of its name, as
// operators do.
func isSecret(name string) bool {
	return slices.ContainsFunc([]string{"PASSWORD", "SECRET", "SECRET_PREVIOUS", "TOKEN"}, func(end string) bool { return strings.HasSuffix(name, end) })
}
