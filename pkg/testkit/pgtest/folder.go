package pgtest

import (
	"os"
	"testing"
)

// Folder returns a temporary folder that the account of a PostgreSQL server can reach:
// when root runs the tests, that is another one, to which tb.TempDir is closed.
func Folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pizza-test-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	return dir
}
