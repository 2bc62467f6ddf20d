package app_test

import (
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/quotecache"
)

// A request allocates no more objects than its budget, with its line in the log, and with
// its rows from PostgreSQL. Raise a budget only for what is worth its price at every
// request. The budgets hold with the race detector too, which empties pools at random.
//
//nolint:paralleltest // see MustKeepBudgets
func TestAllocations(t *testing.T) {
	db := migrationstest.NewSeeded(t)
	log := logging.New(logging.Config{Level: slog.LevelInfo}, logging.NewBuffer(io.Discard), "order")
	a := newApp(t, app.Config{
		DB:    pgtest.Config(t, db.URL("order_svc")),
		Menu:  menuclient.Config{BaseURL: startMenu(t, db), Timeout: 2 * time.Second},
		Quote: quotecache.Config{MaxStale: 10 * time.Minute},
		Token: token.Config{Secret: secret},
	}, log)
	raw, err := token.NewKeys(token.Config{Secret: secret}, time.Now).Issue("kim", 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	kim := http.Header{"Authorization": {"Bearer " + raw}}
	again := kim.Clone()
	again.Set("Idempotency-Key", "again")
	const order = `{"branchId":"BRANCH001","lines":[
		{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"hawaiian_m","quantity":2},{"pizza_id":"classic_dlx_s","quantity":1}]}`
	apitest.MustKeepBudgets(t, a.Server.Public(), 100,
		apitest.Budget{Name: "order", Method: "POST", Path: "/order/", Body: order, Header: kim, Status: 201, Most: 500},
		apitest.Budget{Name: "order_repeated", Method: "POST", Path: "/order/", Body: order, Header: again, Status: 201, Most: 305},
		apitest.Budget{Name: "my_orders", Method: "GET", Path: "/order/myorder/?limit=3", Header: kim, Status: 200, Most: 415},
		apitest.Budget{Name: "branches", Method: "GET", Path: "/order/branch/", Status: 200, Most: 90},
		apitest.Budget{Name: "no_token", Method: "GET", Path: "/order/myorder/", Status: 401, Most: 50},
	)
}
