package events_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
)

// open returns a pool on a fresh database with the given tables.
func open(t *testing.T, schema string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.Config(t, pgtest.Empty(t)), "test", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	return pool
}

func count(t *testing.T, pool *pgxpool.Pool, query string) int {
	t.Helper()
	var n int
	if err := pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

const inboxTables = events.InboxSchema + "CREATE TABLE effect (n int);"

func effect(ctx context.Context, tx pgx.Tx, _ events.Event) error {
	_, err := tx.Exec(ctx, "INSERT INTO effect VALUES (1)")
	return err
}

func TestInbox(t *testing.T) {
	t.Parallel()
	e := whole()

	t.Run("twenty copies at once take effect once", func(t *testing.T) {
		t.Parallel()
		pool := open(t, inboxTables)
		duplicates := events.NewDuplicates(prometheus.NewRegistry())
		handle := events.Inbox{Table: "inbox", Consumer: "kitchen", Duplicates: duplicates}.Handler(pool, effect)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := handle(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := count(t, pool, "SELECT count(*) FROM effect"); n != 1 {
			t.Errorf("took effect %d times", n)
		}
		if n := testutil.ToFloat64(duplicates.WithLabelValues("kitchen")); n != 19 {
			t.Errorf("%v copies were counted", n)
		}
	})
	t.Run("a failed attempt is forgotten with what it did", func(t *testing.T) {
		t.Parallel()
		pool := open(t, inboxTables)
		var attempts atomic.Int32
		handle := events.Inbox{Table: "inbox", Consumer: "kitchen"}.Handler(pool, func(ctx context.Context, tx pgx.Tx, e events.Event) error {
			if err := effect(ctx, tx, e); err != nil {
				return err
			}
			if attempts.Add(1) == 1 {
				return errors.New("after the effect")
			}
			return nil
		})
		for i := range 3 {
			if err := handle(t.Context(), e); (err != nil) != (i == 0) {
				t.Errorf("attempt %d: %v", i, err)
			}
		}
		if n := count(t, pool, "SELECT count(*) FROM effect"); n != 1 || attempts.Load() != 2 {
			t.Errorf("took effect %d times in %d attempts", n, attempts.Load())
		}
	})
	t.Run("each consumer has its own memory", func(t *testing.T) {
		t.Parallel()
		pool := open(t, inboxTables)
		for i := range 2 {
			handle := events.Inbox{Table: "inbox", Consumer: fmt.Sprint("consumer", i)}.Handler(pool, effect)
			if err := handle(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(t, pool, "SELECT count(*) FROM effect"); n != 2 {
			t.Errorf("took effect %d times", n)
		}
	})
	t.Run("old memories are pruned", func(t *testing.T) {
		t.Parallel()
		pool := open(t, inboxTables+`
			INSERT INTO inbox VALUES ('kitchen', '/test', 'old', now() - interval '8 days'), ('kitchen', '/test', 'new', now())`)
		n, err := events.Inbox{Table: "inbox"}.Prune(t.Context(), pool, 7*24*time.Hour)
		if err != nil || n != 1 {
			t.Errorf("pruned %d: %v", n, err)
		}
		if n := count(t, pool, "SELECT count(*) FROM inbox WHERE event_id = 'new'"); n != 1 {
			t.Error("the new one is gone")
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := events.Backoff{Base: time.Second, Max: time.Minute}
	for attempts, longest := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 7: time.Minute, 40: time.Minute, 1 << 30: time.Minute,
	} {
		for range 100 {
			if d := b.Delay(attempts); d < longest/2 || d > longest {
				t.Fatalf("after %d attempts: %s, want up to a half less than %s", attempts, d, longest)
			}
		}
	}
}
