package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// grant applies sql/access/grants.sql. A build that is older than the database
// skips this: it would revoke what newer services need.
func grant(ctx context.Context, db *sql.DB, providers []provider) (err error) {
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
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("grants: %w", err)
	}
	defer func() {
		if rollback := tx.Rollback(); !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	// Concurrent runs would change the same catalog rows, which PostgreSQL
	// rejects instead of making one run wait.
	lock := fmt.Sprintf("SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(%d)", grantsLock)
	for _, statement := range []string{lock, string(grants)} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return explain(fmt.Errorf("grants: %w", err))
		}
	}
	return tx.Commit()
}
