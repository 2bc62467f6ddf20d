package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// A backend that is not ready gets no requests, as in a cluster.
func TestUnreadyBackendGetsNoRequests(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	status.Store(http.StatusOK)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			w.WriteHeader(int(status.Load()))
			return
		}
		w.Header().Set("X-Service", "menu")
	}))
	t.Cleanup(backend.Close)
	g := New(slog.New(slog.DiscardHandler), "menu")
	s := serve(t, g)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	probes := func(n int) {
		for range n {
			g.check(t.Context(), client, g.backends["menu"])
		}
	}
	served := func(when string, want bool) {
		t.Helper()
		resp := do(t, s, http.MethodGet, "/menu/")
		if !want {
			wantProblem(t, resp, http.StatusServiceUnavailable)
			if resp.Header.Get("Retry-After") == "" {
				t.Errorf("%s: no Retry-After", when)
			}
		} else if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Header.Get("X-Service") != "menu" {
			t.Errorf("%s: answer %d, not of the service, %v", when, resp.StatusCode, err)
		}
	}

	probes(3)
	served("before there is a backend", false)
	g.SetBackend("menu", backend.Listener.Addr().String())
	served("at first", true)
	probes(1)
	status.Store(http.StatusServiceUnavailable)
	probes(failureThreshold - 1)
	served("below the threshold", true)
	probes(1)
	served("at the threshold", false)
	status.Store(http.StatusOK)
	probes(1)
	served("ready again", true)
	backend.Close()
	probes(failureThreshold)
	served("when it has gone", false)
}

// The gateway's probe settings match the charts.
func TestProbesAsTheCharts(t *testing.T) {
	t.Parallel()
	chart, err := os.ReadFile("../../../../helm/service/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	number := func(name string) int {
		found := regexp.MustCompile(`(?s)readinessProbe:.*?` + name + `: (\d+)\n`).FindSubmatch(chart)
		if found == nil {
			t.Fatalf("the readiness probe of the charts has no %s", name)
		}
		n, err := strconv.Atoi(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if period, timeout, failures := number("periodSeconds"), number("timeoutSeconds"), number("failureThreshold"); //
	time.Duration(period)*time.Second != probePeriod || time.Duration(timeout)*time.Second != probeTimeout || failures != failureThreshold {
		t.Errorf("the charts probe every %d s, wait %d s, and give up after %d", period, timeout, failures)
	}
}
