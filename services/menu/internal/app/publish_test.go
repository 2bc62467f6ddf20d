package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/events"
	eventspg "example.com/pizza/pkg/events/postgres"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/services/menu/api"
)

// TestCatalogChangesArePublished reads the documented events from the real
// transport, for a change by the service and for one that bypasses it.
func TestCatalogChangesArePublished(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	messages := apitest.NewMessages(t, api.Events)
	s := start(t, db)
	pool, err := pgxpool.New(context.Background(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	from := eventspg.New(pool, eventstest.Config(), slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
	got := eventstest.Collect(t, from, "catalog.updated")
	monolith := superuser(t, db)
	changed := version(t, s.write(t, http.MethodPut, "/int/menu/pizzas/bbq_ckn_l", `{"pizza_type_id":"bbq_ckn","size":"L","price":11}`))
	exec(t, monolith, "BEGIN; UPDATE pizza SET price = 12 WHERE pizza_id = 'bbq_ckn_l'; ROLLBACK")
	exec(t, monolith, "UPDATE pizza SET price = 13 WHERE pizza_id = 'bbq_ckn_l'")
	want := map[string]bool{strconv.FormatInt(changed, 10): true, strconv.FormatInt(changed+1, 10): true}
	for len(want) > 0 {
		e := <-got
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := messages.Check("catalog.updated", body); err != nil {
			t.Errorf("%v\n%s", err, body)
		}
		delete(want, e.Subject)
	}
}
