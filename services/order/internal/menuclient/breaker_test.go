package menuclient_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/pizza/services/order/internal/menuclient"
)

// strict opens the breaker at the first failure that counts.
var (
	strict = menuclient.Config{FailureRatio: 0.01, MinRequests: 1, OpenFor: time.Hour}
	steady = menuclient.Policy{Window: time.Hour, Probes: 1}
)

// Outcomes that say nothing about menu do not open the breaker.
func TestWhatDoesNotCount(t *testing.T) {
	t.Parallel()
	silent := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = r.Body.Read(make([]byte, 1<<10))
		<-r.Context().Done()
	}
	for name, test := range map[string]struct {
		outcome string
		catalog http.HandlerFunc
		caller  func(context.Context) (context.Context, context.CancelFunc)
	}{
		"refused":     {"refused", answer(400), context.WithCancel},
		"caller_gone": {"cancelled", silent, cancelledSoon},
		"caller_hasty": {"cut_short", silent, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, strict, steady, test.catalog)
			for range 3 {
				ctx, cancel := test.caller(t.Context())
				mustBeAway(t, a.catalog(ctx))
				cancel()
			}
			if n := a.metric(t, "menu_client_call_duration_seconds", "outcome", test.outcome); n != 3 {
				t.Errorf("%v calls are counted as %s, want 3", n, test.outcome)
			}
			if state := a.metric(t, "menu_client_breaker_state"); state != 0 {
				t.Errorf("the breaker is in state %v", state)
			}
		})
	}
}

func cancelledSoon(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(20*time.Millisecond, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// The breaker opens at the ratio and not before, stops calls to menu, and
// reports when to retry.
func TestBreakerOpensAtTheRatio(t *testing.T) {
	t.Parallel()
	var bad atomic.Bool
	c := strict
	c.FailureRatio, c.MinRequests = 0.5, 4
	a := ask(t, c, steady, func(w http.ResponseWriter, r *http.Request) {
		if bad.Load() {
			answer(500)(w, r)
			return
		}
		_, _ = w.Write([]byte(fine))
	})
	for range 4 {
		if err := a.catalog(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	bad.Store(true)
	for failures := 1; failures <= 4; failures++ {
		if state := a.metric(t, "menu_client_breaker_state"); state != 0 {
			t.Fatalf("open after %d failures of %d calls", failures-1, a.calls.Load())
		}
		mustBeAway(t, a.catalog(t.Context()))
	}
	calls := a.calls.Load()
	if f := told(t, a.catalog(t.Context())); f.RetryAfter != c.OpenFor {
		t.Errorf("told to come back after %s", f.RetryAfter)
	}
	if state := a.metric(t, "menu_client_breaker_state"); state != 2 || a.calls.Load() != calls {
		t.Errorf("state %v, menu was asked %d times more", state, a.calls.Load()-calls)
	}
	if n := strings.Count(a.log.String(), "circuit breaker changed"); n != 1 {
		t.Errorf("%d lines are logged:\n%s", n, &a.log)
	}
}

// A probed breaker stays open while menu fails, and closes when menu recovers;
// each change is counted and logged.
func TestBreakerCloses(t *testing.T) {
	t.Parallel()
	var bad atomic.Bool
	bad.Store(true)
	c := strict
	c.OpenFor = time.Millisecond
	a := ask(t, c, steady, func(w http.ResponseWriter, r *http.Request) {
		if bad.Load() {
			answer(500)(w, r)
			return
		}
		_, _ = w.Write([]byte(fine))
	})
	for a.metric(t, "menu_client_breaker_transitions_total", "to", "open") < 2 {
		mustBeAway(t, a.catalog(t.Context()))
	}
	bad.Store(false)
	err := errors.New("not asked yet")
	for err != nil {
		err = a.catalog(t.Context())
	}
	if state := a.metric(t, "menu_client_breaker_state"); state != 0 {
		t.Errorf("state %v", state)
	}
	changes := a.metric(t, "menu_client_breaker_transitions_total", "to", "open") +
		a.metric(t, "menu_client_breaker_transitions_total", "to", "half-open") +
		a.metric(t, "menu_client_breaker_transitions_total", "to", "closed")
	if n := strings.Count(a.log.String(), "circuit breaker changed"); float64(n) != changes || n < 5 {
		t.Errorf("%v changes, %d lines:\n%s", changes, n, &a.log)
	}
}
