package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/pgurl"
)

// SettingsError is an error that no retry cures: what migrate was told is wrong.
type SettingsError struct{ Err error }

func (e SettingsError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e SettingsError) Unwrap() error { return e.Err }

type warningsKey struct{}

// WithWarnings returns a context that passes every warning to tell, such as one of the
// server that a statement had no effect.
func WithWarnings(ctx context.Context, tell func(string)) context.Context {
	return context.WithValue(ctx, warningsKey{}, tell)
}

// warn passes a warning to the function of WithWarnings.
func warn(ctx context.Context, text string) {
	if tell, ok := ctx.Value(warningsKey{}).(func(string)); ok {
		tell(text)
	}
}

// config reads a DSN. Whoever it names becomes pizza_owner, so that everything
// that is created belongs to that role; only members may, and superusers.
func config(ctx context.Context, dsn string) (*pgx.ConnConfig, error) {
	c, err := parse(ctx, dsn)
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["role"] = "pizza_owner"
	// Policies do not bind the owner of a table. Where a table has another one, a
	// statement fails instead of missing rows.
	c.RuntimeParams["row_security"] = "off"
	return c, nil
}

func parse(ctx context.Context, dsn string) (*pgx.ConnConfig, error) {
	c, err := pgurl.Parse(dsn)
	if err != nil {
		return nil, SettingsError{err}
	}
	c.RuntimeParams["application_name"] = "migrate"
	c.RuntimeParams["search_path"] = "public"
	c.RuntimeParams["timezone"] = "UTC"
	c.RuntimeParams["DateStyle"] = "ISO, MDY"
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			warn(ctx, n.Message)
		}
	}
	return c, nil
}

// connect opens a connection that acts as pizza_owner.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	c, err := config(ctx, dsn)
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, c)
	if err != nil {
		return nil, explain(err)
	}
	return conn, nil
}

// explain adds a hint to errors that occur when the roles are missing or do not
// own the tables.
func explain(err error) error {
	switch sqlstate(err) {
	case "22023", insufficientPrivilege, "28000", "28P01": // no such role, …, no login, wrong password
		return fmt.Errorf("%w (has `migrate roles` been run on this database, with this password?)", err)
	}
	return explainLock(err)
}

// explainLock adds a hint when the wait for a table was too long.
func explainLock(err error) error {
	if sqlstate(err) == lockNotAvailable {
		return fmt.Errorf("%w (other transactions have held the table at each of %d tries of %s; run it again)", err, lockTries, lockTimeout)
	}
	return err
}

// hint adds what the server says of a refusal, and what a script says to do.
func hint(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return err
	}
	if pg.Detail != "" && pg.Code == insufficientPrivilege { // other details can name rows
		err = fmt.Errorf("%w: %s", err, pg.Detail)
	}
	if pg.Hint != "" {
		err = fmt.Errorf("%w (%s)", err, pg.Hint)
	}
	return err
}

// Codes of errors (PostgreSQL documentation, appendix A).
const (
	insufficientPrivilege = "42501"
	lockNotAvailable      = "55P03"
)

// sqlstate returns the code of a server's error (PostgreSQL documentation,
// appendix A), or "".
func sqlstate(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}
