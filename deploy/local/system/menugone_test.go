package system

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/pizza/deploy/local/stack"
)

// Menu is killed and stays down. The breaker opens, and orders are still placed
// at cached prices.
func TestOrdersWithoutMenu(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Options{
		RestartAfter: time.Hour,
		// A single failed call opens the breaker.
		Environ: []string{"BREAKER_FAILURE_RATIO=0.001", "BREAKER_MIN_REQUESTS=1", "BREAKER_OPEN_FOR=1h"},
	})
	token := s.member(t, "hungry")
	order := js(t, object{
		"branchId": s.branch(t), "lines": []object{{"pizza_id": "hawaiian_s", "quantity": 1}}, "expected_total": 10.5,
	})
	place := func() {
		t.Helper()
		s.postJSON(t, "/order/", token, order).want(t, http.StatusCreated)
	}
	place()
	menu := s.Service("menu")
	if err := menu.Process().Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-menu.Process().Done()
	for range 20 {
		place()
	}
	s.logs.wait(t, "order", "circuit breaker changed")
	s.logs.wait(t, "order", "menu does not answer")
	for { // until the prices are stale
		place()
		a := s.sendTo(t, "http://"+s.Service("order").Internal, request{method: http.MethodGet, path: "/metrics"}).want(t, http.StatusOK)
		if strings.Contains(string(a.body), "order_quote_cache_stale 1\n") {
			break
		}
		wait(t)
	}
	place()
	a := s.sendTo(t, "http://"+s.Service("order").Internal, request{method: http.MethodGet, path: "/metrics"}).want(t, http.StatusOK)
	for _, line := range []string{"menu_client_breaker_state 2", "order_quote_cache_stale 1", `order_quotes_total{source="none"} 0`} {
		if !strings.Contains(string(a.body), line+"\n") {
			t.Errorf("the metrics do not have %q", line)
		}
	}
	s.sendTo(t, "http://"+s.Service("order").Public, request{method: http.MethodGet, path: "/healthz"}).want(t, http.StatusOK)
}
