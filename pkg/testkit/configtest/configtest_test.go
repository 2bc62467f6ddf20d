package configtest_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"example.com/pizza/pkg/testkit/configtest"
)

type shop struct {
	Name  string `env:"SHOP_NAME,required" doc:"Name over the door"`
	Ovens int    `env:"SHOP_OVENS" envDefault:"2" doc:"Number of ovens"`
}

type leaky struct {
	Password string `env:"SHOP_PASSWORD" doc:"Known to few"`
}

// failing collects the failures of a test that is expected to fail.
type failing struct {
	testing.TB
	errors []string
}

func (f *failing) Helper()                      {}
func (f *failing) Errorf(text string, _ ...any) { f.errors = append(f.errors, text) }

// A test fails if a document differs from the code, or if a log would show a secret.
func TestTable(t *testing.T) {
	t.Parallel()
	const good = "| variable | default | meaning |\n|---|---|---|\n| `SHOP_NAME` | **required** | Name over the door |\n| `SHOP_OVENS` | `2` | Number of ovens |\n"
	for name, test := range map[string]struct {
		table  string
		of     reflect.Type
		errors int
	}{
		"current":   {good, reflect.TypeFor[shop](), 0},
		"outdated":  {strings.Replace(good, "`2`", "`3`", 1), reflect.TypeFor[shop](), 1},
		"no_secret": {"| variable | default | meaning |\n|---|---|---|\n| `SHOP_PASSWORD` |  | Known to few |\n", reflect.TypeFor[leaky](), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "page.md")
			if err := os.WriteFile(file, []byte("# Page\n<!-- config shop -->\n"+test.table+"<!-- end -->\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			f := &failing{TB: t}
			configtest.Table(f, file, "shop", test.of)
			if len(f.errors) != test.errors {
				t.Errorf("%d errors, want %d: %q", len(f.errors), test.errors, f.errors)
			}
		})
	}
}
