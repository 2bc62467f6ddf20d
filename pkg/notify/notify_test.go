package notify_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/notify"
	"example.com/pizza/pkg/pgtest"
	"example.com/pizza/pkg/postgres"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// heard collects what a listener is told.
type heard struct {
	connected chan struct{}
	payloads  chan string
	lost      chan error
}

// listen listens until the test ends.
func listen(t *testing.T, pool *pgxpool.Pool, channel string) heard {
	t.Helper()
	h := heard{make(chan struct{}, 100), make(chan string, 100), make(chan error, 100)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		notify.Listen(ctx, pool, channel, notify.Handler{
			Connected: func(context.Context) { h.connected <- struct{}{} },
			Notified:  func(_ context.Context, payload string) { h.payloads <- payload },
			Lost:      func(err error) { h.lost <- err },
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return h
}

func open(t *testing.T, c postgres.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), c, "notify-test", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func exec(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	h := listen(t, open(t, pgtest.Config(t, dsn)), `Oven "7"`)
	<-h.connected

	t.Run("hears_what_is_committed", func(t *testing.T) {
		exec(t, dsn, `BEGIN; NOTIFY "Oven ""7""", 'undone'; ROLLBACK; NOTIFY other, 'x'; NOTIFY "Oven ""7""", 'hot'`)
		if got := <-h.payloads; got != "hot" {
			t.Errorf("heard %q", got)
		}
	})
	t.Run("connects_again", func(t *testing.T) {
		exec(t, dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'notify-test' AND datname = current_database()")
		if err := <-h.lost; err == nil {
			t.Error("lost without a reason")
		}
		<-h.connected
		exec(t, dsn, `NOTIFY "Oven ""7""", 'hot again'`)
		if got := <-h.payloads; got != "hot again" {
			t.Errorf("heard %q", got)
		}
	})
}

// Without a server the listener goes on trying, and can be stopped.
func TestListenWithoutServer(t *testing.T) {
	t.Parallel()
	c := pgtest.Config(t, pgtest.Empty(t))
	c.Port = 1
	h := listen(t, open(t, c), "oven")
	for range 3 {
		if err := <-h.lost; err == nil {
			t.Error("lost without a reason")
		}
	}
}
