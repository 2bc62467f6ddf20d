package idempotency_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// database is a database with stored responses, and a superuser's pool.
type database struct {
	*migrationstest.Database
	admin *pgxpool.Pool
}

func open(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// newDatabase returns a database with responses from two days and from one hour ago.
func newDatabase(t *testing.T, old, young int) database {
	t.Helper()
	db := migrationstest.New(t)
	d := database{db, open(t, db.URL(""))}
	d.exec(t, `
		INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body, created_at)
		SELECT 'ada', n, '', n, 201, '', '', '', now() - CASE WHEN n <= $1 THEN interval '2 days' ELSE interval '1 hour' END
		FROM generate_series(1, $1::int + $2::int) n`, old, young)
	return d
}

func (d database) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := d.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func (d database) left(t *testing.T) (n int) {
	t.Helper()
	if err := d.admin.QueryRow(t.Context(), "SELECT count(*) FROM idempotency_key").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// replica is a cleaner with its metrics and log.
type replica struct {
	*idempotency.Cleaner
	registry *prometheus.Registry
	log      bytes.Buffer
}

// start returns the cleaner of another replica, with separate connections.
func (d database) start(t *testing.T, every time.Duration) *replica {
	t.Helper()
	r := &replica{registry: prometheus.NewRegistry()}
	store := postgres.NewStore(open(t, d.URL("order_svc")), func() {})
	r.Cleaner = idempotency.NewCleaner(store, idempotency.Config{TTL: 24 * time.Hour, Every: every}, slog.New(slog.NewTextHandler(&r.log, nil)), r.registry)
	return r
}

func (r *replica) metric(t *testing.T, name string) int {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

const pruned, failures = "order_idempotency_keys_pruned_total", "order_idempotency_prune_failures_total"

// A round deletes all expired responses, in several batches, and nothing else.
func TestClean(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, 2500, 3)
	r := d.start(t, time.Hour)
	r.Clean(t.Context())
	if left, deleted := d.left(t), r.metric(t, pruned); left != 3 || deleted != 2500 {
		t.Errorf("%d left, %d deleted", left, deleted)
	}
}

// One replica at a time deletes; the others do not wait for it.
func TestCleanLeavesItToAnotherReplica(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, 10, 0)
	r := d.start(t, time.Hour)
	other, err := d.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The lock that another replica's statement would hold.
	if _, err := other.Exec(t.Context(), "SELECT pg_advisory_xact_lock($1)", postgres.DeleteLock); err != nil {
		t.Fatal(err)
	}
	r.Clean(t.Context())
	if left := d.left(t); left != 10 {
		t.Errorf("%d left while another replica was at it", left)
	}
	if err := other.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Clean(t.Context())
	if left := d.left(t); left != 0 || r.metric(t, failures) != 0 || r.log.Len() > 0 {
		t.Errorf("%d left; log: %s", left, &r.log)
	}
}

// Two running replicas together delete every expired response once, and stop
// when told to.
func TestRunOfTwoReplicas(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, 5000, 7)
	replicas := []*replica{d.start(t, time.Millisecond), d.start(t, time.Millisecond)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	for _, r := range replicas {
		running.Go(func() { r.Run(ctx) })
	}
	deleted := func() int { return replicas[0].metric(t, pruned) + replicas[1].metric(t, pruned) }
	eventually(t, "all old answers are deleted", func() bool { return deleted() >= 5000 })
	stop()
	running.Wait()
	if left := d.left(t); left != 7 || deleted() != 5000 {
		t.Errorf("%d deleted, %d left", deleted(), left)
	}
	for _, r := range replicas {
		if r.log.Len() > 0 {
			t.Errorf("logged: %s", &r.log)
		}
	}
}

// Repeated failures are logged once, and the next round retries.
func TestCleanFails(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, 10, 0)
	r := d.start(t, time.Hour)
	d.exec(t, "REVOKE EXECUTE ON FUNCTION forget_answers FROM order_svc")
	r.Clean(t.Context())
	r.Clean(t.Context())
	if lines := strings.Count(r.log.String(), "\n"); lines != 1 || !strings.Contains(r.log.String(), "level=WARN") {
		t.Errorf("two failures are logged as %s", &r.log)
	}
	d.exec(t, "GRANT EXECUTE ON FUNCTION forget_answers TO order_svc")
	r.Clean(t.Context())
	if !strings.Contains(r.log.String(), "can be deleted again") {
		t.Errorf("the recovery is not logged: %s", &r.log)
	}
	if d.left(t) != 0 || r.metric(t, failures) != 2 || r.metric(t, pruned) != 10 {
		t.Errorf("%d left, %d failures, %d deleted", d.left(t), r.metric(t, failures), r.metric(t, pruned))
	}
}

// eventually waits until ok holds, for at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}
