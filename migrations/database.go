package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// CreateDatabase creates the database that adminDSN names, unless it exists, and reports
// whether it did. The role that adminDSN names then owns it, and needs CREATEDB.
func CreateDatabase(ctx context.Context, adminDSN string) (created bool, err error) {
	err = connected(ctx, adminDSN, func(*pgx.Conn) error { return nil })
	if sqlstate(err) != "3D000" { // invalid_catalog_name
		return false, err
	}
	c, err := parse(ctx, adminDSN)
	if err != nil {
		return false, err
	}
	name := pgx.Identifier{c.Database}.Sanitize()
	c.Database = "postgres" // every server has it, for such commands
	conn, err := dial(ctx, c)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	// UTF-8, regardless of the server's default.
	err = administer(ctx, conn, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	switch sqlstate(err) {
	case "42P04": // duplicate_database: another run was faster
		return false, nil
	case insufficientPrivilege:
		return false, fmt.Errorf("%w. Give the administrator %s CREATEDB, or have this run, and run it again:"+
			"\n  CREATE DATABASE %s OWNER %[2]s ENCODING 'UTF8' TEMPLATE template0; -- as a superuser",
			err, pgx.Identifier{c.User}.Sanitize(), name)
	}
	return err == nil, err
}
