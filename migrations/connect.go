package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/pgurl"
)

// config parses a DSN. Its user becomes pizza_owner, so that this role owns
// everything that is created; only its members and superusers may do so.
func config(dsn string) (*pgx.ConnConfig, error) {
	c, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["role"] = "pizza_owner"
	return c, nil
}

func parse(dsn string) (*pgx.ConnConfig, error) {
	c, err := pgurl.Parse(dsn)
	if err != nil {
		return nil, err
	}
	c.RuntimeParams["application_name"] = "migrate"
	c.RuntimeParams["search_path"] = "public"
	c.RuntimeParams["timezone"] = "UTC"
	return c, nil
}

// connect opens a connection that acts as pizza_owner.
func connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	c, err := config(dsn)
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
	case "22023", "42501", "28000", "28P01": // no such role, insufficient privilege, no login, wrong password
		return fmt.Errorf("%w (has `migrate roles` been run on this database, with this password?)", err)
	}
	return explainLock(err)
}

// explainLock adds a hint when the wait for a table was too long.
func explainLock(err error) error {
	if sqlstate(err) == "55P03" { // lock_not_available
		return fmt.Errorf("%w (a transaction has held the table for more than %s; run it again)", err, lockTimeout)
	}
	return err
}

// sqlstate returns the code of a server error (PostgreSQL documentation,
// appendix A), or "".
func sqlstate(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return ""
	}
	return pg.Code
}
