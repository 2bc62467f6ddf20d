package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/testkit/configtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestReadmeListsTheSettings(t *testing.T) {
	t.Parallel()
	configtest.Table(t, "README.md", "e2e", reflect.TypeFor[Settings]())
}

func TestSettings(t *testing.T) {
	t.Parallel()
	_, err := config.Load[Settings]([]string{"E2E_INGRESS=localhost", "E2E_RATE=0", "E2E_CALM=long", "E2E_ONLY=menu,upgrade to another tag"})
	for _, name := range []string{"E2E_INGRESS", "E2E_RATE", "E2E_CALM", "E2E_LOAD_IMAGE", `E2E_ONLY: there is no "menu"`} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

// Forbidden effects fail a scenario, tolerated ones do not.
func TestJudge(t *testing.T) {
	t.Parallel()
	fine := outcome{Requests: 10, Acknowledged: 3, Stored: 3}
	failed := map[string]int{"GET /menu/: 503": 2, "GET /menu/: 500": 1}
	for name, test := range map[string]struct {
		change func(*outcome)
		in     scenario
		want   string
	}{
		"fine":              {func(*outcome) {}, scenario{}, ""},
		"failures":          {func(o *outcome) { o.Failures, o.Why = 3, failed }, scenario{}, "3 requests failed, such as GET /menu/: 503"},
		"failures_that_may": {func(o *outcome) { o.Failures, o.Why = 3, failed }, scenario{tolerated: "in flight"}, ""},
		"lost":              {func(o *outcome) { o.Lost = 1 }, scenario{tolerated: "in flight"}, "1 orders lost, 0 duplicated"},
		"double":            {func(o *outcome) { o.Double = 2 }, scenario{}, "0 orders lost, 2 duplicated"},
		"restarts":          {func(o *outcome) { o.Restarts = 2 }, scenario{restarts: 1}, "2 containers were restarted, at most 1 belong to it"},
		"restarts_that_may": {func(o *outcome) { o.Restarts = 1 }, scenario{restarts: 1}, ""},
		"nobody":            {func(o *outcome) { o.Acknowledged = 0 }, scenario{}, "no order was placed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := fine
			test.change(&o)
			got := ""
			if err := o.judge(test.in); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// A customer retries an order with the same key until it is acknowledged, and
// records every failure.
func TestCustomersInsist(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	keys := map[string]int{}
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		key := r.Header.Get("Idempotency-Key")
		if keys[key]++; keys[key] < 2 || r.Host != host {
			http.Error(w, `{"detail":"busy"}`, http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte(`{"order_id":"` + key + `"}`)) // a lost client shows below
	}))
	defer shop.Close()
	c := newCustomers(shop.URL, host, 1)
	defer c.kept.CloseIdleConnections()
	c.pizzas, c.branch = []string{"a"}, "b"
	c.books = &books{failures: map[string]int{}, acknowledged: map[string]bool{}}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { c.order(t.Context(), "token") })
	}
	all.Wait()
	if b := c.books; b.orders != 3 || len(b.acknowledged) != 3 || b.requests != 6 || b.failures["POST /api/order/: 503 busy"] != 3 || len(b.failures) != 1 {
		t.Errorf("%+v", b)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := table(&out, []outcome{
		{Scenario: "install", Seconds: 12.4},
		{Scenario: "kill", Requests: 100, Failures: 2, Tolerated: "in flight", Acknowledged: 30, Stored: 30, Seconds: 61},
		{Scenario: "upgrade", Requests: 7, Error: "7 requests failed"},
	})
	const want = `SCENARIO  REQUESTS  FAILURES  RESTARTS  ACKNOWLEDGED  STORED  DOUBLE  LOST  SECONDS
install                                                                     12       ok
kill      100       2 (may)   0         30            30      0       0     61       ok
upgrade   7         0         0         0             0       0       0     0        FAILED
`
	var lines []string
	for line := range strings.Lines(out.String()) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	if got := strings.Join(lines, "\n") + "\n"; err != nil || got != want {
		t.Errorf("%v\n%s", err, got)
	}
}

// Closing a door closes its connections.
func TestDoor(t *testing.T) {
	t.Parallel()
	behind := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer behind.Close()
	d, err := openDoor(t.Context(), "127.0.0.1:0", strings.TrimPrefix(behind.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c := newCustomers("http://"+d.listener.Addr().String(), host, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if a, err := c.send(ctx, http.MethodGet, "/", "", "", "", ""); err != nil || a.status != http.StatusOK {
		t.Errorf("through the door: %d %v", a.status, err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if a, err := c.send(ctx, http.MethodGet, "/", "", "", "", ""); err == nil {
		t.Errorf("through the closed door: %d", a.status)
	}
	c.kept.CloseIdleConnections()
}
