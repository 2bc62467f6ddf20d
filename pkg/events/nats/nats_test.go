package nats_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/events"
	eventsnats "example.com/pizza/pkg/events/nats"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/pkg/testkit/natsserver"
)

func TestMain(m *testing.M) {
	eventstest.Consumer(func(address string) events.Transport {
		c := eventstest.Config()
		c.MaxAttempts, c.HandlerTimeout = 1, time.Second // the server waits for the handler timeout after each death
		to, err := eventsnats.New(address, "killed", 1, c, slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
		if err != nil {
			panic(err)
		}
		return to
	})
	goleak.VerifyTestMain(m)
}

type backend struct {
	dir    string
	url    string
	server *natsserver.Server
}

func open(t *testing.T) *backend {
	t.Helper()
	dir := t.TempDir()
	server, err := natsserver.Start(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return &backend{dir, server.URL(), server}
}

func (b *backend) Connect(t *testing.T) events.Transport { return connect(t, b.url, 1) }

func connect(t *testing.T, url string, replicas int) *eventsnats.Transport {
	t.Helper()
	to, err := eventsnats.New(url, "test", replicas, eventstest.Config(),
		slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(to.Close)
	return to
}

// Interrupt restarts the server with the same port and folder.
func (b *backend) Interrupt(t *testing.T) {
	t.Helper()
	b.server.Stop()
	if err := b.server.Restart(); err != nil {
		t.Fatal(err)
	}
}

// stream returns a stream of a server.
func stream(t *testing.T, url, name string) jetstream.Stream {
	t.Helper()
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *backend) Parked(t *testing.T, consumer string) int {
	t.Helper()
	parked := stream(t, b.url, eventsnats.ParkedStream)
	info, err := parked.Info(t.Context(), jetstream.WithSubjectFilter("events_parked."+consumer+".>"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, messages := range info.State.Subjects {
		n += int(messages)
	}
	if n > 0 {
		m, err := parked.GetLastMsgForSubject(t.Context(), "events_parked."+consumer+".>")
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get(eventsnats.ErrorHeader) == "" || m.Header.Get(eventsnats.AttemptsHeader) == "" {
			t.Errorf("set aside without saying why: %v", m.Header)
		}
	}
	return n
}

func TestTransport(t *testing.T) {
	t.Parallel()
	eventstest.Run(t, func(t *testing.T) eventstest.Backend { return open(t) })
}

// An event that kills its consumer's process is parked. It takes twice the attempts,
// because the server also counts deliveries that a restart cuts off.
func TestEventThatKillsItsConsumer(t *testing.T) {
	t.Parallel()
	b := open(t)
	eventstest.Killed(t, b, b.url, 2, func() {})
}

func changed() events.Event {
	return events.Event{ID: "1", Source: "/test", Type: "thing.changed", Subject: "a", Data: json.RawMessage("{}")}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	t.Run("a server that is not there is no fault of the event", func(t *testing.T) {
		t.Parallel()
		to := connect(t, "nats://127.0.0.1:1", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := to.Publish(ctx, changed()); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("got %v, want Unavailable", err)
		}
	})
	t.Run("an event over the server's limit is refused", func(t *testing.T) {
		t.Parallel()
		e := changed()
		e.Data = json.RawMessage(`"` + strings.Repeat("x", 2<<20) + `"`)
		if err := open(t).Connect(t).Publish(t.Context(), e); fault.CodeOf(err) != fault.TooLarge {
			t.Errorf("got %v, want TooLarge", err)
		}
	})
	t.Run("an address that is none is refused without repeating it", func(t *testing.T) {
		t.Parallel()
		_, err := eventsnats.New("nats://user:secret@%zz", "test", 1, eventstest.Config(), slog.New(slog.DiscardHandler), nil)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	})
}

// Streams and consumers that the server has lost are recreated.
func TestServerReplaced(t *testing.T) {
	t.Parallel()
	b := open(t)
	to := b.Connect(t)
	got := make(chan string, 10)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer done.Wait()
	defer cancel()
	done.Go(func() {
		if err := to.Subscribe(ctx, "reader", []string{"thing.changed"}, func(_ context.Context, e events.Event) error {
			got <- e.ID
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	for _, id := range []string{"before", "after"} {
		e := changed()
		e.ID = id
		for to.Publish(t.Context(), e) != nil {
			if t.Context().Err() != nil {
				t.Fatal("not published")
			}
		}
		select {
		case g := <-got:
			if g != id {
				t.Errorf("got %s, want %s", g, id)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s did not come", id)
		}
		if id == "before" {
			b.server.Stop()
			if err := errors.Join(os.RemoveAll(b.dir), b.server.Restart()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A program with a lower setting takes no copies away from the others.
func TestReplicas(t *testing.T) {
	t.Parallel()
	for name, replicas := range map[string][]int{"raised": {1, 3}, "never_lowered": {3, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers, err := natsserver.StartCluster([]string{t.TempDir(), t.TempDir(), t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				for _, s := range servers {
					s.Stop()
				}
			})
			for _, n := range replicas {
				to := connect(t, servers[0].URL(), n)
				for to.Publish(t.Context(), changed()) != nil {
					if t.Context().Err() != nil {
						t.Fatal("not published")
					}
				}
			}
			for _, name := range []string{eventsnats.Stream, eventsnats.ParkedStream} {
				if n := stream(t, servers[0].URL(), name).CachedInfo().Config.Replicas; n != 3 {
					t.Errorf("%s has %d replicas, want 3", name, n)
				}
			}
		})
	}
}
