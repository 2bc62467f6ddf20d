package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/health"
)

// SchemaCheck is ready when the database answers and its schema is at least at
// the version that this build was written for. A newer schema is fine:
// migrations only add, so that a roll-back of the service needs none of its own.
func SchemaCheck(pool *pgxpool.Pool, table string, want int64) health.Check {
	return health.Check{Name: "database", Run: func(ctx context.Context) error {
		have, err := Version(ctx, pool, table)
		if err != nil {
			return err
		}
		if have < want {
			return fmt.Errorf("%s is at %d, this build needs %d: run the migrations", table, have, want)
		}
		return nil
	}}
}
