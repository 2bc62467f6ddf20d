package apitest

import (
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Budget is the number of objects that a request may allocate, from the router to the
// answer.
type Budget struct {
	Name, Method, Path string
	Body               string // JSON; empty for none
	Header             http.Header
	Status             int // of the answer
	Most               float64
}

// passes is the number of measurements that a request gets to keep its budget. What runs
// by itself allocates too (a timer, a pool after a collection), and a pass that it falls
// into says nothing about the request.
const passes = 5

// MustKeepBudgets sends each request runs times to a handler, and checks the number of
// objects that are allocated meanwhile in the whole process, on average. So nothing else
// may run, and the test must not be parallel. The best of a few passes counts.
func MustKeepBudgets(t *testing.T, handler http.Handler, runs int, budgets ...Budget) {
	t.Helper()
	for _, b := range budgets {
		w := &blank{header: http.Header{}}
		r := httptest.NewRequestWithContext(t.Context(), b.Method, b.Path, nil)
		for name, values := range b.Header {
			r.Header[name] = values
		}
		body := strings.NewReader(b.Body)
		if b.Body != "" {
			r.Header.Set("Content-Type", "application/json")
			r.Body, r.ContentLength = io.NopCloser(body), int64(len(b.Body))
		}
		serve := func() {
			body.Reset(b.Body)
			clear(w.header)
			handler.ServeHTTP(w, r)
		}
		got := math.Inf(1)
		for pass := 0; pass < passes && got > b.Most; pass++ {
			got = min(got, testing.AllocsPerRun(runs, serve))
		}
		if w.status != b.Status || got > b.Most {
			t.Errorf("%s: %d with %.0f allocations, want %d with at most %.0f", b.Name, w.status, got, b.Status, b.Most)
		}
	}
}

// blank is an http.ResponseWriter that keeps nothing but the status.
type blank struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (b *blank) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *blank) WriteHeader(status int) { b.status = status }

// Write implements http.ResponseWriter.
func (b *blank) Write(p []byte) (int, error) { return len(p), nil }
