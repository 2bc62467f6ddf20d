package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// stubMenu starts a menu that misbehaves as requested, unlike the real one.
func stubMenu(t *testing.T, catalog http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http detects a disconnect only after the body
		w.Header().Set("Content-Type", "application/json")
		catalog(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// However menu fails, the member gets a 503 with Retry-After and without menu's
// text, and nothing is ordered.
func TestPlaceOrderWhileMenuFails(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	conn := admin(t, db)
	write := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, catalog := range map[string]http.HandlerFunc{
		"fails":               write(500, `{"detail":"the oven is out of gas"}`),
		"refuses_our_request": write(400, `{"detail":"the oven is out of gas"}`),
		"is_not_the_menu":     write(404, `<html>`),
		"answers_no_json":     write(200, `<html>`),
		"answers_no_price":    write(200, `{"catalog_version":1,"pizzas":[{"pizza_id":"bbq_ckn_l","pizza_nm":"B","size":"L"}],"pizza_nms":["B"]}`),
		"answers_unchanged":   write(304, ``), // no catalog is held that could be unchanged
		"hangs_up":            func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"is_too_slow":         func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, db, stubMenu(t, catalog))
			a := s.order(t, s.as(t, "ada"), `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`)
			p := apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
			if p.Detail != "the menu is unavailable; try again" || a.Header.Get("Retry-After") == "" {
				t.Errorf("detail %q, Retry-After %q", p.Detail, a.Header.Get("Retry-After"))
			}
		})
	}
	if orders, _ := kept(t, conn); orders != 0 {
		t.Errorf("%d orders were placed without a price", orders)
	}
}

// After some failures the circuit breaker opens: menu gets no more requests, and
// orders are rejected at once.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	calls := 0 // one request at a time, so no lock
	menu := stubMenu(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusInternalServerError)
	})
	s := startWith(t, app.Config{
		DB:   pgtest.Config(t, db.URL("order_svc")),
		Menu: menuclient.Config{BaseURL: menu, Timeout: 2 * time.Second, FailureRatio: 1, MinRequests: 5},
	})
	for range 8 {
		a := s.order(t, s.as(t, "ada"), `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`)
		apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
	}
	if want := 5 * 3; calls != want { // three attempts for each call
		t.Errorf("menu was asked %d times, want %d", calls, want)
	}
}
