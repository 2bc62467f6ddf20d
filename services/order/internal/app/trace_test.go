package app_test

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	gocmp "github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/pkg/testkit/natsserver"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/pkg/testkit/telemetrytest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

const (
	clientTrace = "0af7651916cd43dd8448eb211c80319c"
	clientSpan  = "b7ad6b7169203331"
)

// One order is one trace: from the client through order to menu, into their
// statements, and through its event to the consumer.
func TestTraceOfAnOrder(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"postgres", "nats"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			collector := telemetrytest.Start(t)
			db := migrationstest.NewSeeded(t)
			c, err := config.Load[connect.Config](nil)
			if err != nil {
				t.Fatal(err)
			}
			if transport == "nats" {
				server, err := natsserver.Start(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(server.Stop)
				c.URL = server.URL()
			}
			menu := startMenu(t, db, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_BSP_SCHEDULE_DELAY=50",
				"SERVICE_VERSION=v1", "ENVIRONMENT=test")
			s := startWith(t, app.Config{
				DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menu, Timeout: 2 * time.Second}, Events: c,
				Log: logging.Config{Version: "v2", Environment: "test"}, Traces: telemetry.Config{Endpoint: collector.HTTP, DelayMS: 50},
			})
			const body = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2}]}`
			apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "kim"), body), http.StatusCreated) // warms up one-time reads
			tickets := cook(t, db, c, collector)
			<-tickets // two events at once would be published by one statement, which is in neither trace

			header := append(member(s.as(t, "kim")), "Traceparent", "00-"+clientTrace+"-"+clientSpan+"-01")
			a := s.Post(t, "/order/", "application/json", body, header...)
			apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated)
			<-tickets

			var got []string
			spans := collector.Await(t, func(all []telemetrytest.Span) bool {
				got = tree(all, clientSpan)
				return len(got) >= len(orderSpans(transport))
			})
			if diff := gocmp.Diff(orderSpans(transport), got); diff != "" {
				t.Errorf("%s\n%s", diff, strings.Join(got, "\n"))
			}
			mustBelong(t, spans)
		})
	}
}

// orderSpans returns the spans of an order, each below its parent.
func orderSpans(transport string) []string {
	var kept []string
	if transport == "postgres" {
		kept = []string{"      order client PublishEvents"}
	}
	return append([]string{
		"order server POST /order/",
		"  order client GET /int/menu/catalog",
		"    menu server GET /int/menu/catalog",
		"      menu client Mark",
		"  order producer create order.created",
		"    order client InsertOrder",
		"    kitchen consumer process order.created",
		"    order producer publish order.created",
	}, kept...)
}

// cook consumes orders until the test ends, as a separate service.
func cook(t *testing.T, db *migrationstest.Database, c connect.Config, collector *telemetrytest.Receiver) <-chan events.Event {
	t.Helper()
	log, registry := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	traces, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: collector.HTTP, DelayMS: 50}, telemetry.Process{Service: "kitchen"}, log, registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(traces.Close)
	pool, err := pgxpool.New(context.Background(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	from, closeTransport, err := connect.Transport(c, eventstest.Config(), "kitchen", pool, log, registry, traces)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeTransport)
	return eventstest.Collect(t, from, "order.created")
}

// tree returns the spans below a parent, each as service, kind and name,
// indented by depth.
func tree(all []telemetrytest.Span, parent string) []string {
	var below []telemetrytest.Span
	for _, s := range all {
		if s.ParentID == parent {
			below = append(below, s)
		}
	}
	slices.SortFunc(below, func(a, b telemetrytest.Span) int { return cmp.Compare(a.Name, b.Name) })
	var lines []string
	for _, s := range below {
		lines = append(lines, s.Service+" "+s.Kind+" "+s.Name)
		for _, l := range tree(all, s.SpanID) {
			lines = append(lines, "  "+l)
		}
	}
	return lines
}

// mustBelong checks errors, links and versions, which the tree does not show.
func mustBelong(t *testing.T, spans []telemetrytest.Span) {
	t.Helper()
	var created string
	for _, s := range spans {
		if s.Name == "create order.created" {
			created = s.SpanID
		}
	}
	for _, s := range spans {
		if s.TraceID != clientTrace {
			continue
		}
		if s.Error {
			t.Errorf("%s failed", s.Name)
		}
		if s.Kind == "consumer" && !slices.Equal(s.Links, []string{created}) {
			t.Errorf("the consumer is linked to %v, not to %s", s.Links, created)
		}
		want := map[string]string{"order": "v2", "menu": "v1", "kitchen": ""}
		if s.Resource["service.version"] != want[s.Service] {
			t.Errorf("%s of %s %q", s.Name, s.Service, s.Resource["service.version"])
		}
	}
}
