package app_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/testkit/apitest"
)

// A request allocates no more objects than its budget, with its line in the log, its rows
// from PostgreSQL, and its hash. Raise a budget only for what is worth its price at every
// request. The budgets hold with the race detector too, which empties pools at random.
//
//nolint:paralleltest // see MustKeepBudgets
func TestAllocations(t *testing.T) {
	log := logging.New(logging.Config{Level: slog.LevelInfo}, logging.NewBuffer(io.Discard), "login")
	public := newApp(t, configure(t, migrationstest.New(t), patient("on")), log).Server.Public()
	const member = `{"id":"kim","pw":"battery staple","name":"Kim"}`
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/login/register/", strings.NewReader(member))
	r.Header.Set("Content-Type", asJSON)
	public.ServeHTTP(httptest.NewRecorder(), r)
	const right, wrong = `{"id":"kim","pw":"battery staple"}`, `{"id":"kim","pw":"a wrong password"}`
	apitest.MustKeepBudgets(t, public, 100,
		apitest.Budget{Name: "log_in", Method: "POST", Path: "/login/", Body: right, Status: 200, Most: 210},
		apitest.Budget{Name: "wrong_password", Method: "POST", Path: "/login/", Body: wrong, Status: 401, Most: 170},
		apitest.Budget{Name: "id_taken", Method: "POST", Path: "/login/register/", Body: member, Status: 409, Most: 310},
		apitest.Budget{Name: "log_out_without_token", Method: "GET", Path: "/login/logout/", Status: 200, Most: 35},
	)
}
