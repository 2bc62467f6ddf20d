package app_test

import (
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/redis"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// The order limit of a member applies across replicas. Invalid and repeated
// orders do not count against it.
func TestOrderRatePerMember(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	cache, menu := miniredis.RunT(t), startMenu(t, db)
	c := app.Config{
		DB:     pgtest.Config(t, db.URL("order_svc")),
		Menu:   menuclient.Config{BaseURL: menu, Timeout: 2 * time.Second},
		Limits: app.Limits{Order: ratelimit.Rate{Count: 3, Per: time.Hour}},
		Cache:  redis.Config{URL: "redis://" + cache.Addr(), Timeout: 20 * time.Second},
	}
	a, b := startWith(t, c), startWith(t, c)
	minji, mina := a.as(t, "minji"), a.as(t, "mina")

	first := a.orderOnce(t, minji, bbq)
	mustBeFirst(t, first)
	if got := first.Header.Get("RateLimit"); first.Header.Get("RateLimit-Policy") != `"member";q=3;w=3600` || !strings.HasPrefix(got, `"member";r=2;t=`) {
		t.Errorf("headers %v", first.Header)
	}
	again := func() {
		t.Helper()
		for _, s := range []*service{a, b} {
			r := s.orderOnce(t, minji, bbq)
			mustRepeat(t, first, r)
			if got := r.Header.Get("RateLimit"); got != "" {
				t.Errorf("a repeated answer is counted: %q", got)
			}
			if r := s.orderOnce(t, minji, strings.Replace(bbq, "1}", "2}", 1)); r.Status != http.StatusUnprocessableEntity {
				t.Errorf("another order with the key is %d", r.Status)
			}
			if r := s.order(t, minji, `{"branchId":"BRANCH001","lines":[]}`); r.Status != http.StatusBadRequest {
				t.Errorf("an order that is not valid is %d", r.Status)
			}
		}
	}
	again()
	mustBeFirst(t, b.order(t, minji, bbq))
	mustBeFirst(t, a.order(t, minji, bbq))
	for _, s := range []*service{a, b} {
		refused := s.order(t, minji, bbq)
		p := apitest.Decode[problem.Problem](t, refused, http.StatusTooManyRequests)
		after, err := strconv.Atoi(refused.Header.Get("Retry-After"))
		if p.Detail != "too many requests: the member limit is used up; try again later" || err != nil || after < 1 || after > 1200 ||
			!strings.HasPrefix(refused.Header.Get("RateLimit"), `"member";r=0;t=`) {
			t.Errorf("refused with %q %v", p.Detail, refused.Header)
		}
		if n := s.metric(t, `rate_limit_requests_total{limit="member",outcome="refused",route="order"}`); n != 1 {
			t.Errorf("%v refusals are counted", n)
		}
	}
	again() // also when the limit is used up
	keyed := a.Post(t, "/order/", "application/json", bbq, append(member(minji), "Idempotency-Key", "new")...)
	apitest.Decode[problem.Problem](t, keyed, http.StatusTooManyRequests)
	mustHave(t, admin(t, db), 3, 1)
	mustBeFirst(t, a.order(t, mina, bbq))
	if r := a.get(t, "/order/myorder/", minji); r.Status != http.StatusOK {
		t.Errorf("the orders cannot be read: %d", r.Status)
	}

	cache.Close() // orders go on
	mustBeFirst(t, b.order(t, minji, bbq))
}

// An order that ends in a 503, from the admission gate or because of menu, does
// not count against the limit. As many orders are placed as the limit allows.
func TestRefusedOrdersCostNothing(t *testing.T) {
	t.Parallel()
	const most = 4
	db := migrationstest.NewSeeded(t)
	var away atomic.Bool
	var asked atomic.Int32
	release := make(chan struct{})
	menu := stubMenu(t, func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		asked.Add(1)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, bbqCatalog)
	})
	c := app.Config{
		DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menu, Timeout: time.Minute},
		Admission: app.Admission{Concurrency: 1, Queue: 0, Wait: time.Second},
		Limits:    app.Limits{Order: ratelimit.Rate{Count: most, Per: time.Hour}},
	}
	c.HTTP.RequestTimeout = time.Minute
	s := startWith(t, c)
	minji := s.as(t, "minji")

	away.Store(true)
	for range 3 * most {
		if a := s.order(t, minji, bbq); a.Status != http.StatusServiceUnavailable {
			t.Errorf("while menu is away: %d %s", a.Status, a.Body)
		}
	}
	away.Store(false)
	first := make(chan apitest.Answer, 1)
	go func() {
		a, _ := s.Send(t.Context(), http.MethodPost, "/order/", bbq, append(member(minji), "Content-Type", "application/json")...)
		first <- a
	}()
	for asked.Load() == 0 { // until the only slot is taken
		select {
		case a := <-first:
			t.Fatalf("the first order: %d %s", a.Status, a.Body)
		default:
			runtime.Gosched()
		}
	}
	for range 3 * most {
		if a := s.order(t, minji, bbq); a.Status != http.StatusServiceUnavailable || a.Header.Get("RateLimit") != "" {
			t.Errorf("while the gate is closed: %d, RateLimit %q", a.Status, a.Header.Get("RateLimit"))
		}
	}
	close(release)
	mustBeFirst(t, <-first)
	for range most - 1 {
		mustBeFirst(t, s.order(t, minji, bbq))
	}
	apitest.Decode[problem.Problem](t, s.order(t, minji, bbq), http.StatusTooManyRequests)
}
