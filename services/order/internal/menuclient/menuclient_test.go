package menuclient_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/order"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const fine = `{"catalog_version":1,"pizzas":[{"pizza_id":"bbq_ckn_l","pizza_nm":"B","size":"L","unit_price":20.75}],"pizza_nms":["B"]}`

// asked is a client of a menu stub, with what can be observed of both.
type asked struct {
	*menuclient.Client
	calls, connections atomic.Int64

	registry *prometheus.Registry
	log      bytes.Buffer // read only when nobody writes
}

// ask returns a client of a menu that responds with catalog. Settings that c
// and p omit make the outcome independent of timing.
func ask(t *testing.T, c menuclient.Config, p menuclient.Policy, catalog http.HandlerFunc) *asked {
	t.Helper()
	a := &asked{registry: prometheus.NewRegistry()}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.calls.Add(1)
		w.Header().Set("Content-Type", "application/json")
		catalog(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			a.connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c.BaseURL, c.Timeout = server.URL, time.Minute
	client, err := menuclient.NewWithPolicy(c, p, slog.New(slog.NewTextHandler(&a.log, nil)), a.registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	a.Client = client
	return a
}

func (a *asked) catalog(ctx context.Context) error {
	_, err := a.Catalog(ctx, nil)
	return err
}

// metric returns a number, or the count of a histogram. labels alternates names
// and values.
func (a *asked) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := a.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			got := map[string]string{}
			for _, l := range m.GetLabel() {
				got[l.GetName()] = l.GetValue()
			}
			same := family.GetName() == name
			for i := 0; i < len(labels); i += 2 {
				same = same && got[labels[i]] == labels[i+1]
			}
			if same {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

// mustBeAway checks the error that a member gets.
func mustBeAway(t *testing.T, err error) {
	t.Helper()
	if f := told(t, err); f.Code != fault.Unavailable || f.RetryAfter <= 0 || f.Detail != "the menu is unavailable; try again" {
		t.Fatal(err)
	}
}

// told returns err as a fault.
func told(t *testing.T, err error) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("%v is no fault", err)
	}
	return f
}

func answer(status int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"detail":"the words of menu"}`))
	}
}

// Only failures that a retry may fix are retried.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		catalog  http.HandlerFunc
		attempts int64
		outcome  string
	}{
		"500":                {answer(500), 3, "server_error"},
		"502":                {answer(502), 3, "server_error"},
		"503":                {answer(503), 3, "server_error"},
		"504":                {answer(504), 3, "server_error"},
		"hangs_up":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 3, "connection"},
		"retry_after_fits":   {answer(503, "Retry-After", "0"), 3, "server_error"},
		"retry_after_is_far": {answer(503, "Retry-After", "3600"), 1, "server_error"},
		"400":                {answer(400), 1, "refused"},
		"404":                {answer(404), 1, "refused"},
		"429":                {answer(429), 1, "refused"},
		"not_modified":       {answer(304), 1, "unreadable"},
		"no_json":            {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, 1, "unreadable"},
		"too_long": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(fine + strings.Repeat(" ", 33<<20)))
		}, 1, "unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, menuclient.Config{}, menuclient.Policy{Attempts: 3}, test.catalog)
			mustBeAway(t, a.catalog(t.Context()))
			if n := a.calls.Load(); n != test.attempts {
				t.Errorf("menu was asked %d times, want %d", n, test.attempts)
			}
			if n := a.metric(t, "menu_client_attempts_total", "operation", "catalog", "outcome", test.outcome); n != float64(test.attempts) {
				t.Errorf("%v attempts are counted as %s", n, test.outcome)
			}
			if n := a.metric(t, "menu_client_call_duration_seconds", "operation", "catalog", "outcome", test.outcome); n != 1 {
				t.Errorf("%v calls are counted as %s", n, test.outcome)
			}
		})
	}
}

// A catalog that menu reports as unchanged is not read again; any other is.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	const tag = `"a tag"`
	a := ask(t, menuclient.Config{}, menuclient.Policy{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(fine))
	})
	first, err := a.Catalog(t.Context(), nil)
	if err != nil || first.Tag != tag {
		t.Fatalf("%+v, %v", first, err)
	}
	if again, err := a.Catalog(t.Context(), first); err != nil || again != first {
		t.Errorf("unchanged: %p, want %p, %v", again, first, err)
	}
	for _, held := range []*order.Catalog{nil, {}, {Tag: `"another tag"`}} {
		if again, err := a.Catalog(t.Context(), held); err != nil || again == held || again.Version != 1 {
			t.Errorf("with %+v: %+v, %v", held, again, err)
		}
	}
	if n := a.connections.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// The second attempt succeeds, and the caller does not notice the first.
func TestSecondAttemptHelps(t *testing.T) {
	t.Parallel()
	var a *asked
	a = ask(t, menuclient.Config{}, menuclient.Policy{Attempts: 2}, func(w http.ResponseWriter, r *http.Request) {
		if a.calls.Load() == 1 {
			answer(503)(w, r)
			return
		}
		_, _ = w.Write([]byte(fine))
	})
	if err := a.catalog(t.Context()); err != nil {
		t.Error(err)
	}
	if n := a.metric(t, "menu_client_call_duration_seconds", "outcome", "ok"); n != 1 {
		t.Errorf("%v calls are counted as good", n)
	}
}

// An attempt ends at its own timeout, and the next one has its own.
func TestAttemptTimesOut(t *testing.T) {
	t.Parallel()
	a := ask(t, menuclient.Config{}, menuclient.Policy{Attempts: 2, AttemptTimeout: 20 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1<<10)) // net/http detects a disconnect only after the body
		<-r.Context().Done()
	})
	mustBeAway(t, a.catalog(t.Context()))
	if n := a.metric(t, "menu_client_attempts_total", "outcome", "timeout"); n != 2 {
		t.Errorf("%v attempts ran out of time, want 2", n)
	}
}

// The fault that menu reports reaches the log, and its Retry-After reaches the member.
func TestFaultSurvivesTheHop(t *testing.T) {
	t.Parallel()
	a := ask(t, menuclient.Config{}, menuclient.Policy{}, answer(503, "Retry-After", "30"))
	f := told(t, a.catalog(t.Context()))
	if f.RetryAfter != 30*time.Second {
		t.Errorf("told to come back after %s", f.RetryAfter)
	}
	var reported *fault.Error
	if !errors.As(f.Err, &reported) || reported.Code != fault.Unavailable || reported.Detail != "the words of menu" {
		t.Errorf("the cause is %v", f.Err)
	}
}

// A client reuses one connection, even after rejections.
func TestConnectionIsReused(t *testing.T) {
	t.Parallel()
	var a *asked
	a = ask(t, menuclient.Config{}, menuclient.Policy{}, func(w http.ResponseWriter, r *http.Request) {
		if a.calls.Load()%2 == 0 {
			answer(500)(w, r)
			return
		}
		_, _ = w.Write([]byte(fine))
	})
	for range 10 {
		_ = a.catalog(t.Context())
	}
	if n := a.connections.Load(); a.calls.Load() != 10 || n != 1 {
		t.Errorf("%d connections for %d calls", n, a.calls.Load())
	}
}
