package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// grant applies sql/access/grants.sql. A build that is older than the database
// leaves the grants alone: it would take away what newer services need.
func grant(ctx context.Context, dsn string, providers []provider) (err error) {
	for _, p := range providers {
		have, known, err := p.GetVersions(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", p.owner, err)
		}
		if have > known {
			return nil
		}
	}
	grants, err := files.ReadFile("sql/access/grants.sql")
	if err != nil {
		return err
	}
	c, err := config(ctx, dsn)
	if err != nil {
		return err
	}
	var ignored []string
	c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Code == "01007" || n.Code == "01006" { // privilege_not_granted, privilege_not_revoked
			ignored = append(ignored, n.Message)
		}
	}
	conn, err := dial(ctx, c)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Two at once would change the same rows of the catalog, which PostgreSQL
		// refuses instead of letting one wait.
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", grantsLock); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(grants)); err != nil {
			return explain(fmt.Errorf("grants: %w", err))
		}
		if ignored != nil {
			return fmt.Errorf("grants: %s: the table must belong to pizza_owner "+
				"(`migrate roles` takes over those of the old system)", strings.Join(ignored, "; "))
		}
		return nil
	})
}
