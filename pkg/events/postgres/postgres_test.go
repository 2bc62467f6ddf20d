package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/events"
	eventspg "example.com/pizza/pkg/events/postgres"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) {
	eventstest.Consumer(func(address string) events.Transport {
		pool, err := pgxpool.New(context.Background(), address)
		if err != nil {
			panic(err)
		}
		return eventspg.New(pool, eventstest.Config(), slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
	})
	pgtest.Main(m)
}

type backend struct {
	dsn   string
	admin *pgxpool.Pool
}

func open(t *testing.T) backend {
	t.Helper()
	b := backend{dsn: pgtest.Empty(t)}
	b.admin = b.pool(t)
	if _, err := b.admin.Exec(t.Context(), eventspg.Schema+
		"INSERT INTO event_publisher (prefix, role, source) VALUES ('thing', current_user, '/test')"); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b backend) pool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), pgtest.Config(t, b.dsn), "test", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (b backend) Connect(t *testing.T) events.Transport { return b.connect(t, eventstest.Config()) }

func (b backend) connect(t *testing.T, c events.Config) *eventspg.Transport {
	t.Helper()
	return eventspg.New(b.pool(t), c, slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
}

func (b backend) Interrupt(t *testing.T) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Error(err)
	}
}

func (b backend) Parked(t *testing.T, consumer string) (n int) {
	t.Helper()
	err := b.admin.QueryRow(t.Context(), `SELECT count(*) FROM event_delivery
		WHERE consumer = $1 AND parked_at IS NOT NULL AND last_error <> ''`, consumer).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTransport(t *testing.T) {
	t.Parallel()
	eventstest.Run(t, func(t *testing.T) eventstest.Backend { return open(t) })
}

// An event that kills its consumer's process is parked like one whose handler fails.
// Until then, the later events of its subject wait.
func TestEventThatKillsItsConsumer(t *testing.T) {
	t.Parallel()
	b := open(t)
	eventstest.Killed(t, b, b.dsn, eventstest.Config().MaxAttempts, func() {
		if _, err := b.admin.Exec(t.Context(), "UPDATE event_delivery SET next_attempt_at = now()"); err != nil { // skips the backoff
			t.Error(err)
		}
	})
}

// While an instance handles an event, no other takes it or a later one of the
// subject, however long that takes.
func TestEventInWorkIsNotTaken(t *testing.T) {
	t.Parallel()
	b := open(t)
	instance := func(handle events.Handler) {
		to := b.connect(t, eventstest.Config())
		to.Reserve(time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		t.Cleanup(func() { cancel(); done.Wait() })
		done.Go(func() {
			if err := to.Subscribe(ctx, "reader", []string{"thing.changed"}, handle); err != nil {
				t.Error(err)
			}
		})
	}
	began, finish, others := make(chan string, 10), make(chan struct{}), make(chan string, 10)
	instance(func(_ context.Context, e events.Event) error {
		began <- e.ID
		<-finish
		return nil
	})
	to := b.Connect(t)
	send := func(n int, subject string) {
		e := changed(n)
		e.Subject = subject
		if err := to.Publish(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	send(1, "a")
	if id := <-began; id != "1" {
		t.Fatalf("began with %s", id)
	}
	instance(func(_ context.Context, e events.Event) error { others <- e.ID; return nil })
	send(2, "a")
	for n := 3; n < 8; n++ { // each is found by a poll that comes after the reservation
		send(n, fmt.Sprint("b", n))
		if id := <-others; id != fmt.Sprint(n) {
			t.Errorf("beside 1 came %s, want %d", id, n)
		}
	}
	close(finish)
}

// Instances that look for work at the same time cost an event no attempt: with a single
// one, each event is handled.
func TestInstancesCostNoAttempts(t *testing.T) {
	t.Parallel()
	const instances, each = 4, 200
	b := open(t)
	if _, err := b.admin.Exec(t.Context(), "SELECT subscribe_events('reader', '{thing.changed}')"); err != nil {
		t.Fatal(err)
	}
	to := b.Connect(t)
	for n := range each {
		if err := to.Publish(t.Context(), changed(n)); err != nil {
			t.Fatal(err)
		}
	}
	config := eventstest.Config()
	config.MaxAttempts = 1
	handled := make(chan string, each)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	for range instances {
		to := b.connect(t, config)
		to.Reserve(10 * time.Second)
		done.Go(func() {
			if err := to.Subscribe(ctx, "reader", []string{"thing.changed"}, func(_ context.Context, e events.Event) error {
				handled <- e.ID
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range each {
		select {
		case <-handled:
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d events were handled, %d were parked", n, each, b.Parked(t, "reader"))
		}
	}
}

func changed(n int) events.Event {
	return events.Event{ID: fmt.Sprint(n), Source: "/test", Type: "thing.changed", Data: json.RawMessage("{}")}
}

// Consumers that appear while events are being published miss none.
func TestRegisterWhilePublishing(t *testing.T) {
	t.Parallel()
	const publishers, each, consumers = 4, 50, 5
	b := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	var subscriptions, publishing sync.WaitGroup
	defer subscriptions.Wait()
	defer cancel()

	var mu sync.Mutex
	got := map[int]map[string]bool{}
	for c := range consumers {
		got[c] = map[string]bool{}
	}
	for p := range publishers {
		to := b.Connect(t)
		publishing.Go(func() {
			for n := range each {
				if err := to.Publish(ctx, changed(p*each+n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for c := range consumers {
		to := b.Connect(t)
		subscriptions.Go(func() {
			if err := to.Subscribe(ctx, fmt.Sprint("c", c), []string{"thing.changed"}, func(_ context.Context, e events.Event) error {
				mu.Lock()
				defer mu.Unlock()
				got[c][e.ID] = true
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	publishing.Wait()
	deadline := time.Now().Add(time.Minute)
	for c := range consumers {
		for {
			mu.Lock()
			n := len(got[c])
			mu.Unlock()
			if n == publishers*each {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("consumer %d got %d of %d events", c, n, publishers*each)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	b := open(t)
	if _, err := b.admin.Exec(t.Context(), `
		INSERT INTO event_publisher (prefix, role, source) VALUES ('other', 'somebody_else', '/other');
		INSERT INTO event (id, type, subject, body, published_at)
		SELECT n::text, 'thing.old', '', '{"source":"/test"}', now() - interval '2 hours' FROM generate_series(1, 1500) n;
		INSERT INTO event (id, type, subject, body) VALUES ('new', 'thing.old', '', '{"source":"/test"}');
		INSERT INTO event (id, type, subject, body, published_at)
		VALUES ('other', 'other.old', '', '{"source":"/other"}', now() - interval '1 year');
		INSERT INTO event_consumer VALUES ('poisoned', '{thing.old}');
		INSERT INTO event_delivery (consumer, seq, subject, parked_at) SELECT 'poisoned', seq, '', now() FROM event WHERE id = '7'`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel()
	to := b.connect(t, eventstest.Config())
	done.Go(func() { to.Prune(ctx) })
	deadline := time.Now().Add(time.Minute)
	for {
		var left []string
		if err := b.admin.QueryRow(t.Context(), "SELECT array_agg(id ORDER BY id) FROM event").Scan(&left); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(left) == "[7 new other]" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d events are left", len(left))
		}
		time.Sleep(5 * time.Millisecond)
	}
}
