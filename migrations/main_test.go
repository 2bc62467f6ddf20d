package migrations_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// connectAs opens a connection of the order role with a member set for the
// session; the service sets it per transaction.
func connectAs(t *testing.T, d *migrationstest.Database, memberID string) *pgx.Conn {
	t.Helper()
	conn := connect(t, d.URL("order_svc"))
	exec(t, conn, "SELECT set_config('pizza.member', $1, false)", memberID)
	return conn
}

// connect opens a connection for the time of the test.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// value returns the single value of a query.
func value[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// values returns the first column of a query.
func values[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) []T {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	v, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// sqlstate returns the code of a server error, or "" for success. Any other
// error, such as a broken connection, ends the test.
func sqlstate(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		t.Fatal(err)
	}
	if pg.Code == refused && pg.Routine == "ExecWithCheckOptions" {
		return otherRow
	}
	return pg.Code
}

// as returns the DSN for another role.
func as(t *testing.T, dsn, role string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, migrationstest.Passwords().Migrator)
	return u.String()
}

// migrate brings a database to the current schema.
func migrate(t *testing.T, dsn string) *migrationstest.Database {
	t.Helper()
	d, err := migrationstest.On(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// takenOver returns the old system's database after the migration.
func takenOver(t *testing.T) (*migrationstest.Database, migrationstest.OldSystem) {
	t.Helper()
	old := migrationstest.NewOldSystem(t)
	return migrate(t, old.DSN), old
}

func oldTables() []string {
	return []string{"member", "pizza_types", "pizza", "branch", "orders", "order_detail"}
}
