package app_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/menu/internal/app"
)

// A request allocates no more objects than its budget, with its line in the log. Raise a
// budget only for what is worth its price at every request. The budgets hold with the
// race detector too, which empties pools at random.
//
//nolint:paralleltest // see MustKeepBudgets
func TestAllocations(t *testing.T) {
	log := logging.New(logging.Config{Level: slog.LevelInfo}, logging.NewBuffer(io.Discard), "menu")
	a, err := app.New(t.Context(), configure(t, migrationstest.NewSeeded(t)), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	list := httptest.NewRecorder()
	a.Server.Public().ServeHTTP(list, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/menu/", nil))
	known := http.Header{"If-None-Match": {list.Header().Get("ETag")}}
	browser := http.Header{"Accept-Encoding": {"gzip"}, "Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}
	const lookUp = `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`
	apitest.MustKeepBudgets(t, a.Server.Public(), 1000,
		apitest.Budget{Name: "list", Method: "GET", Path: "/menu/", Status: 200, Most: 34},
		apitest.Budget{Name: "list_of_a_browser", Method: "GET", Path: "/menu/", Header: browser, Status: 200, Most: 41},
		apitest.Budget{Name: "list_not_modified", Method: "GET", Path: "/menu/", Header: known, Status: 304, Most: 34},
		apitest.Budget{Name: "types", Method: "GET", Path: "/menu/types/", Status: 200, Most: 28},
		apitest.Budget{Name: "look_up", Method: "POST", Path: "/menu/get_pizza_id/", Body: lookUp, Status: 200, Most: 44},
		apitest.Budget{Name: "document", Method: "GET", Path: "/menu/openapi.json", Status: 200, Most: 21},
	)
}
