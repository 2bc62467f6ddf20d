package events_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/fault"
)

// sink is a transport that records published events, and fails on demand.
type sink struct {
	events.Transport // Subscribe is not called
	mu               sync.Mutex
	got              []events.Event
	calls            int
	fail             func(events.Event) error // after the event was kept
	refuse           func(events.Event) error // before
}

func newSink() *sink { return &sink{} }

func (s *sink) Publish(_ context.Context, all ...events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.refuse != nil {
		for _, e := range all {
			if err := s.refuse(e); err != nil {
				return err
			}
		}
	}
	for _, e := range all {
		s.got = append(s.got, e)
		if s.fail != nil {
			if err := s.fail(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sink) events() []events.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]events.Event(nil), s.got...)
}

// numbers returns the n of each event of a subject, in the order of arrival.
func numbers(got []events.Event, subject string) []string {
	var n []string
	for _, e := range got {
		if e.Subject == subject {
			n = append(n, string(e.Data))
		}
	}
	return n
}

func fast() events.RelayConfig {
	return events.RelayConfig{
		Batch: 8, Poll: 20 * time.Millisecond, Measure: 20 * time.Millisecond, PublishTimeout: 5 * time.Second, MaxAttempts: 3,
		RetryBase: time.Millisecond, RetryMax: 10 * time.Millisecond, Retention: time.Hour,
	}
}

func newRelay(pool *pgxpool.Pool, to events.Transport, c events.RelayConfig, registry *prometheus.Registry) *events.Relay {
	return events.NewRelay(pool, events.Outbox{Table: "outbox", Source: "/test"}, to, c,
		slog.New(slog.DiscardHandler), registry)
}

// start runs relays until the test ends, each as a separate replica.
func start(t *testing.T, pool *pgxpool.Pool, to events.Transport, c events.RelayConfig, replicas int) *prometheus.Registry {
	t.Helper()
	var registry *prometheus.Registry
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range replicas {
		registry = prometheus.NewRegistry()
		r := newRelay(pool, to, c, registry)
		all.Go(func() { r.Run(ctx) })
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return registry
}

// write puts an event into the outbox as a service does.
func write(t *testing.T, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, subject string, n int) {
	t.Helper()
	if _, err := db.Exec(t.Context(), "INSERT INTO outbox (id, type, subject, data) VALUES ($1, 'thing.changed', $2, to_jsonb($3::int))",
		uuid.Must(uuid.NewV7()), subject, n); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok holds. Passing tests do not depend on the time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func waiting(t *testing.T, pool *pgxpool.Pool) int {
	return count(t, pool, "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND parked_at IS NULL")
}

func TestRelayPublishes(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema)
	to := newSink()
	start(t, pool, to, fast(), 1)
	if _, err := pool.Exec(t.Context(), `INSERT INTO outbox (id, type, subject, data, traceparent)
		VALUES ('018f0000-0000-7000-8000-000000000001', 'thing.created', '42', '{"thing":42}', 'trace')`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "published", func() bool { return waiting(t, pool) == 0 })
	got := to.events()
	if len(got) != 1 {
		t.Fatalf("published %d events", len(got))
	}
	e := got[0]
	if e.ID != "018f0000-0000-7000-8000-000000000001" || e.Type != "thing.created" || e.Subject != "42" || e.Source != "/test" ||
		string(e.Data) != `{"thing": 42}` || e.TraceParent != "trace" || time.Since(e.Time) > time.Minute {
		t.Errorf("published %+v", e)
	}
}

// What waits together is published together. A refused event does not keep the others.
func TestRelayPublishesTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		refused string
		calls   int
		left    int
	}{
		{name: "all", calls: 1},
		{name: "one_refused", refused: "s3", calls: 1 + 5, left: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pool := open(t, events.OutboxSchema)
			for n := range 5 {
				write(t, pool, fmt.Sprint("s", n), n)
			}
			to := newSink()
			to.refuse = func(e events.Event) error {
				if e.Subject == c.refused {
					return fault.New(fault.Invalid, "refused")
				}
				return nil
			}
			config := fast()
			config.RetryBase, config.RetryMax = time.Hour, time.Hour
			start(t, pool, to, config, 1)
			eventually(t, "published", func() bool { return waiting(t, pool) == c.left })
			if to.mu.Lock(); to.calls != c.calls || len(to.got) != 5-c.left {
				t.Errorf("%d calls with %d events, want %d with %d", to.calls, len(to.got), c.calls, 5-c.left)
			}
			to.mu.Unlock()
			if n := count(t, pool, "SELECT count(*) FROM outbox"); n != c.left {
				t.Errorf("%d rows are left, want %d", n, c.left)
			}
			if n := count(t, pool, "SELECT count(*) FROM outbox WHERE attempts = 1"); n != c.left {
				t.Errorf("%d of the rows that are left count an attempt", n)
			}
		})
	}
}

// A woken relay polls immediately; it does not wait for its next poll.
func TestRelayWakes(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema)
	to := newSink()
	c := fast()
	c.Poll = time.Hour
	r := newRelay(pool, to, c, prometheus.NewRegistry())
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel()
	done.Go(func() { r.Run(ctx) })
	for n := range 3 { // at least the second one comes after the first poll
		write(t, pool, "a", n)
		r.Wake()
		r.Wake()
		eventually(t, "published", func() bool { return waiting(t, pool) == 0 })
	}
}

// Gauges count up to a limit, however many events wait.
func TestMeasurementIsBounded(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema+`
		INSERT INTO outbox (id, type, subject, data, created_at, parked_at)
		SELECT gen_random_uuid(), 'a', '', '{}', now() - interval '1 minute', CASE WHEN n > 12000 THEN now() END
		FROM generate_series(1, 24000) n`)
	var depth, parked int
	var lag float64
	if err := pool.QueryRow(t.Context(), events.Outbox{Table: "outbox"}.Statements().Measure).Scan(&depth, &parked, &lag); err != nil {
		t.Fatal(err)
	}
	if depth != 10_000 || parked != 10_000 || lag < 60 {
		t.Errorf("depth %d, parked %d, lag %v", depth, parked, lag)
	}
}

func TestRelayKeepsUncommittedToItself(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema)
	to := newSink()
	start(t, pool, to, fast(), 2)
	err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		write(t, tx, "rolled back", 1)
		write(t, pool, "after", 1)
		eventually(t, "the later one is published first", func() bool { return len(to.events()) == 1 })
		return errors.New("roll back")
	})
	if err == nil {
		t.Fatal("committed")
	}
	write(t, pool, "after", 2)
	eventually(t, "published", func() bool { return waiting(t, pool) == 0 })
	if n := numbers(to.events(), "rolled back"); n != nil {
		t.Errorf("published %v, which never happened", n)
	}
}

func TestRelayOrder(t *testing.T) {
	t.Parallel()
	t.Run("an event that backs off holds back its subject and no other", func(t *testing.T) {
		t.Parallel()
		pool := open(t, events.OutboxSchema)
		to := newSink()
		stuck := true
		to.refuse = func(e events.Event) error {
			if stuck && e.Subject == "stuck" {
				return errors.New("refused")
			}
			return nil
		}
		c := fast()
		c.MaxAttempts = 1 << 20
		start(t, pool, to, c, 3)
		for n := range 5 {
			write(t, pool, "stuck", n)
			write(t, pool, "free", n)
		}
		eventually(t, "the other subject is published", func() bool { return len(numbers(to.events(), "free")) == 5 })
		to.mu.Lock()
		stuck = false
		to.mu.Unlock()
		eventually(t, "published", func() bool { return waiting(t, pool) == 0 })
		for _, subject := range []string{"stuck", "free"} {
			if got := strings.Join(numbers(to.events(), subject), " "); got != "0 1 2 3 4" {
				t.Errorf("%s came as %s", subject, got)
			}
		}
	})
	t.Run("a parked event lets its subject go on", func(t *testing.T) {
		t.Parallel()
		pool := open(t, events.OutboxSchema)
		to := newSink()
		to.refuse = func(e events.Event) error {
			if string(e.Data) == "1" {
				return errors.New("refused for good")
			}
			return nil
		}
		for n := range 3 {
			write(t, pool, "a", n)
		}
		registry := start(t, pool, to, fast(), 1)
		eventually(t, "done", func() bool { return waiting(t, pool) == 0 })
		if got := strings.Join(numbers(to.events(), "a"), " "); got != "0 2" {
			t.Errorf("came as %s", got)
		}
		if n := count(t, pool, `SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL AND sent_at IS NULL
			AND attempts = 3 AND last_error = 'refused for good' AND data = '1'`); n != 1 {
			t.Error("the parked row does not say why")
		}
		want := `
			# HELP outbox_depth Events that wait to be published, counted up to 10000.
			# TYPE outbox_depth gauge
			outbox_depth 0
			# HELP outbox_events_total Attempts to publish an event, by outcome: published, failed or parked.
			# TYPE outbox_events_total counter
			outbox_events_total{outcome="failed"} 2
			outbox_events_total{outcome="parked"} 1
			outbox_events_total{outcome="published"} 2
			# HELP outbox_lag_seconds Age of the oldest event that waits to be published.
			# TYPE outbox_lag_seconds gauge
			outbox_lag_seconds 0
			# HELP outbox_parked Events that were set aside because the transport refuses them, counted up to 10000.
			# TYPE outbox_parked gauge
			outbox_parked 1
			`
		var err error
		eventually(t, "measured", func() bool {
			err = testutil.GatherAndCompare(registry, strings.NewReader(want))
			return err == nil
		})
	})
}

// While the transport is unavailable, no event is parked, however long that takes.
// All events arrive afterwards.
func TestRelayOutlivesTransport(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema)
	to := newSink()
	refusals, away := 0, true
	to.refuse = func(events.Event) error {
		if refusals++; away {
			return fault.New(fault.Unavailable, "away")
		}
		return nil
	}
	for n := range 20 {
		write(t, pool, fmt.Sprint(n), n)
	}
	registry := start(t, pool, to, fast(), 2)
	eventually(t, "many attempts", func() bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		return refusals > 100
	})
	if n := waiting(t, pool); n != 20 {
		t.Errorf("%d of 20 wait", n)
	}
	eventually(t, "lag is measured", func() bool {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "outbox_lag_seconds" {
				return f.GetMetric()[0].GetGauge().GetValue() > 0
			}
		}
		return false
	})
	to.mu.Lock()
	away = false
	to.mu.Unlock()
	eventually(t, "published", func() bool { return waiting(t, pool) == 0 })
	if n := len(to.events()); n != 20 {
		t.Errorf("published %d times", n)
	}
}

// An event that the transport never answers looks like an unavailable transport.
// The other events must still be published.
func TestRelayStepsAround(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema+`
		INSERT INTO outbox (id, type, subject, data, created_at)
		VALUES (gen_random_uuid(), 'a', 'stuck', '0', now() - interval '1 hour')`)
	to := newSink()
	to.refuse = func(e events.Event) error {
		if e.Subject == "stuck" {
			return fault.New(fault.Unavailable, "no answer")
		}
		return nil
	}
	for n := range 20 {
		write(t, pool, "free", n)
	}
	c := fast()
	c.RetryMax = time.Hour
	start(t, pool, to, c, 1)
	eventually(t, "the others are published", func() bool { return len(numbers(to.events(), "free")) == 20 })
	if n := waiting(t, pool); n < 1 {
		t.Error("the event that is stuck is gone")
	}
}

func TestRelayPrunes(t *testing.T) {
	t.Parallel()
	pool := open(t, events.OutboxSchema+`
		INSERT INTO outbox (id, type, subject, data, sent_at, parked_at)
		SELECT gen_random_uuid(), 'a', '', '{}'::jsonb, now() - interval '2 hours', NULL::timestamptz FROM generate_series(1, 2500)
		UNION ALL SELECT gen_random_uuid(), 'a', '', '{}', now(), NULL
		UNION ALL SELECT gen_random_uuid(), 'a', '', '{}', NULL, now() - interval '2 hours'`)
	start(t, pool, newSink(), fast(), 2)
	eventually(t, "pruned to the fresh and the parked one", func() bool { return count(t, pool, "SELECT count(*) FROM outbox") == 2 })
}

// Anything can break between publishing and marking: the transport's answer is lost,
// the database connection is cut, the relay is stopped. Every committed row still
// arrives, and each subject's first copies are in order.
func TestRelayLosesNothing(t *testing.T) {
	t.Parallel()
	const subjects, each, replicas = 20, 15, 3
	pool := open(t, events.OutboxSchema)
	to := newSink()
	breaking, broken := true, 0
	to.fail = func(events.Event) error {
		if !breaking {
			return nil
		}
		switch rand.N(10) {
		case 0:
			broken++
			return errors.New("refused after all")
		case 1:
			broken++
			return fault.New(fault.Unavailable, "the answer was lost")
		case 2:
			broken++
			_, err := pool.Exec(context.WithoutCancel(t.Context()), `
				SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'`)
			return err
		}
		return nil
	}
	c := fast()
	c.MaxAttempts = 1 << 20

	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for range replicas {
		all.Go(func() {
			for ctx.Err() == nil { // a replica that is restarted repeatedly
				life, end := context.WithTimeout(ctx, rand.N(200*time.Millisecond))
				newRelay(pool, to, c, prometheus.NewRegistry()).Run(life)
				end()
			}
		})
	}
	for n := range each {
		for s := range subjects {
			writeRetry(t, pool, fmt.Sprint(s), n)
		}
	}
	eventually(t, "many breaks", func() bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		return broken > 50
	})
	to.mu.Lock()
	breaking = false
	to.mu.Unlock()
	eventually(t, "all marked", func() bool {
		var n int
		err := pool.QueryRow(t.Context(), "SELECT count(*) FROM outbox WHERE sent_at IS NULL").Scan(&n)
		return err == nil && n == 0
	})
	got := to.events()
	for s := range subjects {
		seen, next := map[string]bool{}, 0
		for _, n := range numbers(got, fmt.Sprint(s)) {
			if !seen[n] && n != fmt.Sprint(next) {
				t.Fatalf("subject %d: %s came before %d", s, n, next)
			}
			if !seen[n] {
				next++
			}
			seen[n] = true
		}
		if next != each {
			t.Errorf("subject %d: %d of %d arrived", s, next, each)
		}
	}
	t.Logf("%d events were published %d times through %d breaks", subjects*each, len(got), broken)
}

// writeRetry retries a write, because its connection may just have been cut.
func writeRetry(t *testing.T, pool *pgxpool.Pool, subject string, n int) {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	eventually(t, "written", func() bool {
		_, err := pool.Exec(t.Context(), `INSERT INTO outbox (id, type, subject, data)
			VALUES ($1, 'thing.changed', $2, to_jsonb($3::int)) ON CONFLICT DO NOTHING`, id, subject, n)
		return err == nil
	})
}
