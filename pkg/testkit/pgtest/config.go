package pgtest

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/secret"
	"example.com/pizza/pkg/testkit/pgbouncer"
)

// poolerVariable makes Config and Environ connect through a PgBouncer in transaction
// mode, as `make check STEPS=pooler` does, for every service that a test starts. The
// value is "on", with prepared statements if PgBouncer supports them, or
// "unprepared".
const poolerVariable = "TEST_POOLER"

// poolerConnections is the number of server connections of each PgBouncer. It is
// less than the pool size of a service, so that clients share connections.
const poolerConnections = 6

// Pooled reports whether Config connects through a PgBouncer.
func Pooled() bool { return os.Getenv(poolerVariable) != "" }

// Config returns a service's configuration for a test database, the same as its
// DB_* variables would give.
func Config(tb testing.TB, dsn string) postgres.Config {
	tb.Helper()
	if Pooled() {
		return Pooler(tb, dsn, poolerConnections)
	}
	return config(tb, dsn)
}

// Pooler returns a service's configuration for a test database behind a PgBouncer
// with the given number of server connections.
func Pooler(tb testing.TB, dsn string, connections int) postgres.Config {
	tb.Helper()
	follows, err := pgbouncer.FollowsPrepared()
	if err != nil {
		tb.Fatal("pgtest:", err)
	}
	follows = follows && os.Getenv(poolerVariable) != "unprepared"
	c := config(tb, pgbouncer.Start(tb, dsn, pgbouncer.Options{Servers: connections, Unprepared: !follows}))
	if !follows {
		c.Prepared = "off"
	}
	return c
}

func config(tb testing.TB, dsn string) postgres.Config {
	tb.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		tb.Fatal(err)
	}
	password, _ := u.User.Password()
	return postgres.Config{
		Host: u.Hostname(), Port: uint16(port), Name: strings.TrimPrefix(u.Path, "/"),
		User: u.User.Username(), Password: secret.Text(password), SSLMode: "disable",
		MaxConns: 8, ConnectTimeout: 3 * time.Second, StatementTimeout: 5 * time.Second, Prepared: "on",
	}
}

// Environ returns Config as DB_* variables, for a service that is run as a whole.
func Environ(tb testing.TB, dsn string) []string {
	tb.Helper()
	c := Config(tb, dsn)
	return []string{
		"DB_HOST=" + c.Host, "DB_PORT=" + strconv.Itoa(int(c.Port)), "DB_NAME=" + c.Name,
		"DB_USER=" + c.User, "DB_PASSWORD=" + string(c.Password), "DB_SSLMODE=" + c.SSLMode, "DB_PREPARED_STATEMENTS=" + c.Prepared,
	}
}
