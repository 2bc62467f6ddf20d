// Package pgtest gives tests databases on a real PostgreSQL server.
//
// The server is the one in TEST_DATABASE_URL, which the command withpostgres
// sets for all packages of a test run, or else one that the test process starts
// for itself and stops in Main. Databases are created in two steps:
//
//	Template  builds a database once per server: migrations, seed data
//	Clone     copies it for one test
//
// so that every test has its own database, and all tests run in parallel. A package
// whose tests use pgtest needs
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
package pgtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/pizza/pkg/pgurl"
)

// dropTime bounds the dropping of a database after a test.
const dropTime = time.Minute

// Main runs the tests of a package, stops the server if this process has
// started one, and exits. The tests fail if they leave a goroutine behind: a
// pool, a listener or a response body that was not closed.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m interface{ Run() int }) int {
	pgurl.ForgetEnvironment() // also for connections that tests open with pgx
	ours.begin()
	status := m.Run()
	err := ours.end()
	if err == nil && status == 0 {
		if leak := goleak.Find(); leak != nil {
			err = fmt.Errorf("the tests have left goroutines behind: %w", leak)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		status = max(status, 1)
	}
	return status
}

// URL returns the superuser's address of the database postgres on the server.
func URL(tb testing.TB) string {
	tb.Helper()
	c, err := ours.connect(tb.Context())
	if err != nil {
		tb.Fatal("pgtest:", err)
	}
	return c.address("postgres")
}

// Template returns the name of a database that build has filled, for Clone. The
// database is built once per server and key, even if many processes ask for it at
// the same time. So the key must change with build: it should contain a hash of the
// migrations, for example. A build that fails or is killed leaves nothing behind.
//
// build gets the superuser's address of an empty database, and must have closed
// all its connections when it returns.
func Template(tb testing.TB, key string, build func(ctx context.Context, dsn string) error) string {
	tb.Helper()
	c, err := ours.connect(tb.Context())
	if err != nil {
		tb.Fatal("pgtest:", err)
	}
	name, err := c.template(tb.Context(), key, build)
	if err != nil {
		tb.Fatal("pgtest: build the template database: ", err)
	}
	return name
}

// Clone copies a database that Template has built and returns the superuser's
// address of the copy. The copy is dropped at the end of the test, even if a client
// is still connected.
//
// PostgreSQL does not copy settings of a database as a whole: GRANT … ON DATABASE
// and ALTER DATABASE … SET.
func Clone(tb testing.TB, template string) string {
	tb.Helper()
	return create(tb, template)
}

// Empty returns the superuser's address of a new, empty database, which is dropped
// at the end of the test.
func Empty(tb testing.TB) string {
	tb.Helper()
	return create(tb, "template0")
}

func create(tb testing.TB, template string) string {
	tb.Helper()
	c, err := ours.connect(tb.Context())
	if err != nil {
		tb.Fatal("pgtest:", err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	if err := c.create(tb.Context(), name, template); err != nil {
		tb.Fatalf("pgtest: copy database %s: %v", template, err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), dropTime)
		defer cancel()
		if err := c.drop(ctx, name); err != nil {
			tb.Errorf("pgtest: drop database %s: %v", name, err)
		}
	})
	return c.address(name)
}
