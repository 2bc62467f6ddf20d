package pgtest

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/secret"
)

// Config returns the configuration by which a service reaches a test database:
// the same as its DB_* variables would give.
func Config(tb testing.TB, dsn string) postgres.Config {
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
		MaxConns: 8, ConnectTimeout: 3 * time.Second, StatementTimeout: 5 * time.Second,
	}
}

// Environ returns the same as DB_* variables, for a service that is run whole.
func Environ(tb testing.TB, dsn string) []string {
	tb.Helper()
	c := Config(tb, dsn)
	return []string{
		"DB_HOST=" + c.Host, "DB_PORT=" + strconv.Itoa(int(c.Port)), "DB_NAME=" + c.Name,
		"DB_USER=" + c.User, "DB_PASSWORD=" + string(c.Password), "DB_SSLMODE=" + c.SSLMode,
	}
}
