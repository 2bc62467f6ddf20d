package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Responses of a load balancer are told apart from those of the services.
func TestSeeOutage(t *testing.T) {
	t.Parallel()
	const own = `{"status":503,"detail":"the database is unavailable; try again","trace_id":"4bf92f35"}`
	unavailable := func(contentType, retryAfter, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			if retryAfter != "" {
				w.Header().Set("Retry-After", retryAfter)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(body))
		}
	}
	good := unavailable("application/problem+json", "5", own)
	menu := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) }
	for name, test := range map[string]struct {
		menu, order, login http.HandlerFunc
		want               string // in the error; "" means no error
	}{
		"as_it_should_be":    {menu, good, good, ""},
		"menu_gone":          {good, good, good, "GET /api/menu/"},
		"traefik":            {menu, unavailable("text/plain; charset=utf-8", "", "no available server"), good, "POST /api/order/"},
		"nginx":              {menu, good, unavailable("text/html", "", "<html><h1>503 Service Temporarily Unavailable</h1>"), "POST /api/login/"},
		"without_retry":      {menu, good, unavailable("application/problem+json", "", own), "POST /api/login/"},
		"without_trace":      {menu, unavailable("application/problem+json", "5", `{"detail":"x"}`), good, "POST /api/order/"},
		"order_is_placed":    {menu, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }, good, "POST /api/order/: answer 201"},
		"login_is_our_fault": {menu, good, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "POST /api/login/: answer 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("GET /api/menu/", test.menu)
			mux.HandleFunc("POST /api/order/", test.order)
			mux.HandleFunc("POST /api/login/", test.login)
			ingress := httptest.NewServer(mux)
			t.Cleanup(ingress.Close)
			c := newCustomers(ingress.URL, host, 1)
			t.Cleanup(c.kept.CloseIdleConnections)
			c.branch, c.pizzas, c.tokens = "BRANCH001", []string{"hawaiian_s"}, make([]string, members)
			err := c.seeOutage(t.Context(), time.Now().Add(10*time.Millisecond), time.Millisecond)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
