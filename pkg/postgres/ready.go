package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/health"
)

const (
	// schemaCheckEvery is how often the version is read again once the schema has
	// been seen. It changes in a roll-back by hand, and hardly otherwise.
	schemaCheckEvery = 10 * time.Second
	// schemaCheckTimeout bounds such a read. A probe must not wait for a database
	// that is away, since its answer does not depend on it.
	schemaCheckTimeout = 200 * time.Millisecond
)

// SchemaCheck passes once it has seen a schema that is at least at the version
// that this build needs. A newer schema is fine: migrations only add, so that
// rolling back a service requires no migration.
//
// What was seen last counts. A database that does not answer, or a pool without
// a free connection, is the same for all pods at once: if they became unready
// for it, none would be left to answer. A schema that is seen to be too old fails
// the check at any time.
func SchemaCheck(pool *pgxpool.Pool, table string, want int64) health.Check {
	return schemaCheck(pool, table, want, schemaCheckEvery)
}

func schemaCheck(pool *pgxpool.Pool, table string, want int64, every time.Duration) health.Check {
	s := &schema{pool: pool, table: table, want: want, every: every}
	return health.Check{Name: "database", Run: s.check}
}

type schema struct {
	pool  *pgxpool.Pool
	table string
	want  int64
	every time.Duration

	mu    sync.Mutex
	seen  bool
	have  int64 // if seen
	asked time.Time
}

func (s *schema) check(ctx context.Context) error {
	s.mu.Lock()
	good := s.seen && s.have >= s.want
	if good && time.Since(s.asked) < s.every {
		s.mu.Unlock()
		return nil
	}
	s.asked = time.Now()
	s.mu.Unlock()
	if good {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, schemaCheckTimeout)
		defer cancel()
	}
	have, err := Version(ctx, s.pool, s.table)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.seen, s.have = true, have
	}
	switch {
	case !s.seen:
		return err
	case s.have < s.want:
		return fmt.Errorf("%s is at %d, this build needs %d: run the migrations", s.table, s.have, s.want)
	default:
		return nil
	}
}
