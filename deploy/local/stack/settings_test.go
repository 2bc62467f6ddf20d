package stack

import (
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/deploy/local/internal/datadir"
)

func TestParseDatabaseURL(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"postgres://a:b@db":                               "postgres://a:b@db:5432/postgres",
		"postgresql://a:b@db:5433/":                       "postgresql://a:b@db:5433/postgres",
		"postgres://a:b@[::1]:5433/x?sslmode=verify-full": "postgres://a:b@[::1]:5433/x?sslmode=verify-full",
		"":                                "",
		"host=db user=a password=s3cret":  "",
		"mysql://a:s3cret@db/x":           "",
		"postgres:///x?host=/tmp&s3cret":  "",
		"postgres://a:s3cret@db:port/x":   "",
		"postgres://a:s3cret%@db:5432/%x": "",
	} {
		t.Run(dsn, func(t *testing.T) {
			t.Parallel()
			got, err := parseDatabaseURL(dsn)
			switch {
			case want == "" && (err == nil || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("parseDatabaseURL() = %v, %v; want an error without the password", got, err)
			case want != "" && (err != nil || got.String() != want):
				t.Errorf("parseDatabaseURL() = %v, %v; want %s", got, err, want)
			}
		})
	}
}

// TestFreeAddresses checks that the ports differ and are free, and that taken
// detects a port in use.
func TestFreeAddresses(t *testing.T) {
	t.Parallel()
	a, err := freeAddresses(t.Context())
	if err != nil || a.Public == a.Internal || a.Internal == a.Metrics || a.Public == a.Metrics || a.taken(t.Context()) {
		t.Fatalf("freeAddresses() = %+v, %v", a, err)
	}
	l, err := net.Listen("tcp", a.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !a.taken(t.Context()) {
		t.Error("a port that is taken is not seen as taken")
	}
}

// TestEnviron checks that a service gets its own role and nothing that bypasses
// it.
func TestEnviron(t *testing.T) {
	for _, v := range []string{"PGHOST", "PGPASSWORD", "DATABASE_URL", "TEST_DATABASE_URL", "LOG_LEVEL"} {
		t.Setenv(v, "from-outside")
	}
	dir, err := datadir.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := &Stack{
		dir: dir, options: Options{Environ: []string{"SHUTDOWN_TIMEOUT=1s"}},
		database: &url.URL{Scheme: "postgres", User: url.UserPassword("root", "s3cret"), Host: "[::1]:5433", RawQuery: "sslmode=disable"},
	}
	got, err := s.environ("order", []string{"MENU_BASE_URL=http://menu"})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		if strings.HasPrefix(v, "PG") || strings.Contains(v, "DATABASE_URL") || strings.Contains(v, "s3cret") {
			t.Errorf("%s reaches the service", v)
		}
	}
	for _, v := range []string{"LOG_LEVEL=from-outside", "SHUTDOWN_TIMEOUT=1s", "MENU_BASE_URL=http://menu"} {
		if !slices.Contains(got, v) {
			t.Errorf("%s does not reach the service", v)
		}
	}
	settings := slices.DeleteFunc(got, func(v string) bool { return !strings.HasPrefix(v, "DB_") || strings.HasPrefix(v, "DB_PASSWORD=") })
	if diff := cmp.Diff([]string{"DB_HOST=[::1]:5433", "DB_NAME=pizza", "DB_USER=order_svc", "DB_SSLMODE=disable"}, settings); diff != "" {
		t.Errorf("database settings (-want +got):\n%s", diff)
	}
}
