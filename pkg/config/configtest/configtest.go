// Package configtest keeps the configuration tables of a README equal to the
// code. A table stands between the lines <!-- config NAME --> and <!-- end -->;
// UPDATE_README=1 go test writes it anew.
package configtest

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/config"
)

// Readme fails the test where the table of a service is not what its
// configuration struct says.
func Readme(tb testing.TB, file, service string, configuration reflect.Type) {
	tb.Helper()
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
