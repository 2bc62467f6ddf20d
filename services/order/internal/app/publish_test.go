package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/pkg/testkit/natsserver"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// consume subscribes to all orders, until the test ends.
func consume(t *testing.T, db *migrationstest.Database, c connect.Config) <-chan events.Event {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	from, closeTransport, err := connect.Transport(c, eventstest.Config(), "test", pool, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), noop.NewTracerProvider())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeTransport)
	return eventstest.Collect(t, from, "order.created")
}

// TestPlacedOrdersArePublished reads the documented events from the real
// transport, even for an order placed while the transport was down.
func TestPlacedOrdersArePublished(t *testing.T) {
	t.Parallel()
	messages := apitest.NewMessages(t, api.Events)
	for _, transport := range []string{"postgres", "nats"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			db := migrationstest.NewSeeded(t)
			c, err := config.Load[connect.Config](nil)
			if err != nil {
				t.Fatal(err)
			}
			var broker *natsserver.Server
			if transport == "nats" {
				if broker, err = natsserver.Start(t.TempDir()); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { broker.Stop() })
				c.URL = broker.URL()
				broker.Stop()
			}
			s := startWith(t, app.Config{
				DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: startMenu(t, db), Timeout: 2 * time.Second}, Events: c,
			})
			bearer := s.as(t, "kim")
			place := func() string {
				a := s.order(t, bearer, `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2}]}`)
				return apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated).OrderID
			}
			first := place()
			if broker != nil {
				if err := broker.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			got := consume(t, db, c)
			for want := map[string]bool{first: true, place(): true}; len(want) > 0; { // in any order, and maybe repeated
				e := <-got
				body, err := json.Marshal(e)
				if err != nil {
					t.Fatal(err)
				}
				if err := messages.Check("order.created", body); err != nil {
					t.Errorf("%v\n%s", err, body)
				}
				delete(want, e.Subject)
			}
		})
	}
}
