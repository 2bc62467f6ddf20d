// Package migrationstest gives tests a database as `migrate` leaves it, with
// the roles of the services.
//
// The database is built once per server and cloned for each test. A package
// that uses this one must call pgtest.Main.
package migrationstest

import (
	"context"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgtest"
)

// password is the password of all roles. Roles are shared by the whole test
// server, so all tests must use the same one.
const password = "only-for-tests"

// Database is the database of one test.
type Database struct{ dsn string }

// New returns a database with roles, tables and grants, and no rows.
func New(tb testing.TB) *Database {
	tb.Helper()
	return clone(tb, "migrated-"+migrations.Fingerprint(), func(ctx context.Context, d *Database) error {
		return d.prepare(ctx)
	})
}

// NewSeeded is like New, with the menu, branches and the demo member.
func NewSeeded(tb testing.TB) *Database {
	tb.Helper()
	return clone(tb, "seeded-"+migrations.Fingerprint(), func(ctx context.Context, d *Database) error {
		if err := d.prepare(ctx); err != nil {
			return err
		}
		return migrations.Seed(ctx, d.URL("migrator"))
	})
}

// On creates the roles for a database that the test has built, and migrates it.
func On(ctx context.Context, dsn string) (*Database, error) {
	d := &Database{dsn}
	return d, d.prepare(ctx)
}

// Passwords returns the passwords that all roles have on a test server.
func Passwords() migrations.Passwords {
	return migrations.Passwords{Migrator: password, Login: password, Menu: password, Order: password}
}

// URL returns the DSN of a role: login_svc, menu_svc, order_svc or migrator; ""
// and "postgres" mean the superuser.
func (d *Database) URL(role string) string {
	if role == "" || role == "postgres" {
		return d.dsn
	}
	u, err := url.Parse(d.dsn)
	if err != nil {
		panic(err) // a test server's DSN is a URL
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

func (d *Database) prepare(ctx context.Context) error {
	if err := migrations.ApplyRoles(ctx, d.dsn, Passwords()); err != nil {
		return err
	}
	return migrations.Up(ctx, d.URL("migrator"))
}

func clone(tb testing.TB, key string, build func(context.Context, *Database) error) *Database {
	tb.Helper()
	template := pgtest.Template(tb, key, func(ctx context.Context, dsn string) error {
		return build(ctx, &Database{dsn})
	})
	d := &Database{pgtest.Clone(tb, template)}
	// A clone does not inherit the privileges on the database itself.
	if err := d.withoutTemporary(tb.Context()); err != nil {
		tb.Fatalf("prepare the copied database: %v", err)
	}
	return d
}

func (d *Database) withoutTemporary(ctx context.Context) error {
	conn, err := pgurl.Connect(ctx, d.dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "REVOKE TEMPORARY ON DATABASE "+pgx.Identifier{conn.Config().Database}.Sanitize()+" FROM PUBLIC")
	if closing := conn.Close(ctx); err == nil {
		err = closing
	}
	return err
}
