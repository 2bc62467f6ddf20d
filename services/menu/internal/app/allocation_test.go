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
	"example.com/pizza/services/menu/internal/app"
)

// blank is an http.ResponseWriter that keeps nothing but the status.
type blank struct {
	header http.Header
	status int
}

func (b *blank) Header() http.Header         { return b.header }
func (b *blank) WriteHeader(status int)      { b.status = status }
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }

// A request allocates no more objects than its budget, from the router to the answer,
// with its line in the log. Raise a budget only for what is worth its price at every
// request. The budgets hold with the race detector too, which empties pools at random.
//
//nolint:paralleltest // AllocsPerRun counts the whole process
func TestAllocations(t *testing.T) {
	log := logging.New(logging.Config{Level: slog.LevelInfo}, logging.NewBuffer(io.Discard), "menu")
	a, err := app.New(t.Context(), configure(t, migrationstest.NewSeeded(t)), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	const lookUp = `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`
	serve := func(method, path, body string, header http.Header, w *blank) func() {
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		r.Header = header
		sent := strings.NewReader(body)
		if body != "" {
			r.Header.Set("Content-Type", asJSON)
			r.Body, r.ContentLength = io.NopCloser(sent), int64(len(body))
		}
		return func() {
			sent.Reset(body)
			clear(w.header)
			a.Server.Public().ServeHTTP(w, r)
		}
	}
	w := &blank{header: http.Header{}}
	serve(http.MethodGet, "/menu/", "", http.Header{}, w)()
	etag := w.header.Get("ETag")
	for name, test := range map[string]struct {
		method, path, body string
		header             http.Header
		status             int
		budget             float64
	}{
		"list":              {"GET", "/menu/", "", http.Header{}, 200, 34},
		"list_of_a_browser": {"GET", "/menu/", "", http.Header{"Accept-Encoding": {"gzip"}, "Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}}, 200, 41},
		"list_not_modified": {"GET", "/menu/", "", http.Header{"If-None-Match": {etag}}, 304, 34},
		"types":             {"GET", "/menu/types/", "", http.Header{}, 200, 28},
		"look_up":           {"POST", "/menu/get_pizza_id/", lookUp, http.Header{}, 200, 44},
		"document":          {"GET", "/menu/openapi.json", "", http.Header{}, 200, 21},
	} {
		got := testing.AllocsPerRun(1000, serve(test.method, test.path, test.body, test.header, w))
		if w.status != test.status || got > test.budget {
			t.Errorf("%s: %d with %.0f allocations, want %d with at most %.0f", name, w.status, got, test.status, test.budget)
		}
	}
}
