// Package configtest keeps the configuration tables of a README equal to the
// code. A table stands between the lines <!-- config NAME --> and <!-- end -->;
// UPDATE_README=1 go test writes it anew.
package configtest

import (
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
	if os.Getenv("UPDATE_README") != "" {
		text := head + "<!-- config " + service + " -->\n" + want + "<!-- end -->" + tail
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, table); diff != "" {
		tb.Errorf("%s differs from the configuration of %s (UPDATE_README=1 go test mends it):\n%s", file, service, diff)
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
