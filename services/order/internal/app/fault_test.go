package app_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/faultproxy"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// budget is the time that an order may spend on menu here. bound is the maximum
// for any order, however slow the machine is. Without the budget an order would
// last as long as its request timeout or the fault.
const (
	budget = time.Second
	bound  = 20 * time.Second
	longer = 10 * time.Minute
)

// behind starts order, menu, and a proxy between them. Only the budget and the
// breaker bound an order, and every order calls menu.
func behind(t *testing.T, db *migrationstest.Database) (*service, *faultproxy.Proxy) {
	t.Helper()
	proxy, err := faultproxy.Listen(strings.TrimPrefix(startMenu(t, db), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, app.Config{
		HTTP: server.Config{RequestTimeout: longer},
		DB:   pgtest.Config(t, db.URL("order_svc")),
		Menu: menuclient.Config{
			BaseURL: "http://" + proxy.Addr(), Timeout: budget,
			FailureRatio: 0.3, MinRequests: 3, OpenFor: 100 * time.Millisecond,
		},
	})
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, proxy
}

// During any fault between order and menu, orders stay within their time budget
// and the breaker opens. It closes afterwards, and exactly the acknowledged
// orders are stored.
func TestFaultsBetweenOrderAndMenu(t *testing.T) {
	t.Parallel()
	for name, strike := range map[string]func(*faultproxy.Proxy){
		"latency":                func(p *faultproxy.Proxy) { p.Delay(longer) },
		"reset":                  func(p *faultproxy.Proxy) { p.Set(faultproxy.Reset) },
		"server_error":           func(p *faultproxy.Proxy) { p.Set(faultproxy.ServerError) },
		"half_open_connection":   func(p *faultproxy.Proxy) { p.Set(faultproxy.HalfOpen) },
		"vanishes_in_the_answer": func(p *faultproxy.Proxy) { p.Set(faultproxy.Vanish) },
		"black_hole":             func(p *faultproxy.Proxy) { p.Set(faultproxy.BlackHole) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := migrationstest.NewSeeded(t)
			s, proxy := behind(t, db)
			o := &ordering{service: s, bearer: s.as(t, "ada")}
			eventually(t, "an order is placed before the fault", func() bool { return o.one(t) })
			opened := s.metric(t, `menu_client_breaker_transitions_total{to="open"}`)

			strike(proxy)
			eventually(t, "the breaker opens, and again after menu was tried", func() bool {
				if o.one(t) {
					t.Error("an order was placed without a price")
				}
				return s.metric(t, `menu_client_breaker_transitions_total{to="open"}`) >= opened+2
			})
			o.many(t, 30)
			if proxy.Met() == 0 {
				t.Error("no request met the fault: this proves nothing")
			}

			proxy.Heal()
			eventually(t, "the breaker closes", func() bool {
				return o.one(t) && s.metric(t, "menu_client_breaker_state") == 0
			})
			if orders, _ := kept(t, admin(t, db)); orders != o.placed {
				t.Errorf("%d orders are kept, %d were acknowledged", orders, o.placed)
			}
		})
	}
}

// ordering is a member who places orders and checks how long they take.
type ordering struct {
	*service
	bearer string
	placed int // acknowledged
}

// one sends an order, and reports whether it was placed. If not, it must be
// rejected in time and with Retry-After.
func (o *ordering) one(t *testing.T) bool {
	t.Helper()
	start := time.Now()
	a := o.order(t, o.bearer, bbq)
	inTime(t, start)
	if a.Status == http.StatusCreated {
		o.placed++
		return true
	}
	mustComeBack(t, a)
	return false
}

// many sends concurrent orders of n members, none of which can be placed.
func (o *ordering) many(t *testing.T, n int) {
	t.Helper()
	var sent sync.WaitGroup
	for i := range n {
		bearer := o.as(t, "member-"+strconv.Itoa(i))
		sent.Go(func() {
			start := time.Now()
			a, err := o.Send(t.Context(), http.MethodPost, "/order/", bbq, append(member(bearer), "Content-Type", "application/json")...)
			inTime(t, start)
			if err != nil || a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
				t.Errorf("%d %s, %v", a.Status, a.Body, err)
			}
		})
	}
	sent.Wait()
}

func inTime(t *testing.T, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > bound {
		t.Errorf("an order took %s, with a budget of %s for menu", took, budget)
	}
}

func mustComeBack(t *testing.T, a apitest.Answer) {
	t.Helper()
	p := apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
	if p.Detail != "the menu is unavailable; try again" || a.Header.Get("Retry-After") == "" {
		t.Errorf("detail %q, Retry-After %q", p.Detail, a.Header.Get("Retry-After"))
	}
}
