package app_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/quotecache"
)

const adminToken = "an-admin-token-of-32-bytes-or-more"

// leavingMenu is the real menu behind a proxy that can make it unavailable.
type leavingMenu struct {
	url  string
	away atomic.Bool
	asks atomic.Int64
}

func startLeavingMenu(t *testing.T, db *migrationstest.Database) *leavingMenu {
	t.Helper()
	target, err := url.Parse(startMenu(t, db, "ADMIN_TOKEN="+adminToken))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport, ErrorLog: log.New(io.Discard, "", 0)}
	l := &leavingMenu{}
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.asks.Add(1)
		if l.away.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { door.Close(); transport.CloseIdleConnections() })
	l.url = door.URL
	return l
}

func run(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// total places an order for one pizza and returns its price.
func (s *service) total(t *testing.T) string {
	t.Helper()
	return apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "ada"), bbq), http.StatusCreated).TotalPrice.String()
}

// priced waits until the service has prices.
func (s *service) priced(t *testing.T) {
	t.Helper()
	eventually(t, "there are prices", func() bool { return s.metric(t, "order_quote_cache_version") > 0 })
}

// Orders are priced without a call to menu, and a catalog change reaches every
// replica, regardless of who makes it.
func TestPriceChangeReachesEveryReplica(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	menu := startLeavingMenu(t, db)
	replicas := []*service{startCached(t, db, menu.url), startCached(t, db, menu.url)}
	conn := admin(t, db)
	for _, r := range replicas {
		r.priced(t)
		for range 10 {
			if got := r.total(t); got != "20.75" {
				t.Errorf("costs %s", got)
			}
		}
		if n := r.metric(t, `order_quotes_total{source="memory"}`); n != 10 {
			t.Errorf("%v of 10 orders are priced from memory", n)
		}
	}
	for i := range 5 {
		run(t, conn, "UPDATE pizza SET price = $1 WHERE pizza_id = 'bbq_ckn_l'", i+1)
		for n, r := range replicas {
			want := fmt.Sprintf("%d.00", i+1)
			eventually(t, fmt.Sprintf("replica %d sells for %s", n, want), func() bool { return r.total(t) == want })
		}
	}
}

// No database role can set prices or stop orders by notifications on the
// channels that once announced prices.
func TestNotificationsAreNotBelieved(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startCached(t, db, startMenu(t, db))
	s.priced(t)
	for _, role := range []string{"login_svc", "menu_svc", "order_svc"} {
		pool, err := pgx.Connect(t.Context(), db.URL(role))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pool.Close(context.Background()) })
		for _, payload := range []string{"9223372036854775807", "1", "-1", "rubbish", strings.Repeat("9", 7000)} {
			run(t, pool, "SELECT pg_notify(c, $1) FROM unnest(ARRAY['catalog_updated', 'menu_outbox', 'order_outbox']) c, generate_series(1, 100)", payload)
			if got := s.total(t); got != "20.75" {
				t.Errorf("costs %s", got)
			}
		}
	}
	if n := s.metric(t, `order_quotes_total{source="memory"}`); n != 15 {
		t.Errorf("%v of 15 orders are priced from memory", n)
	}
	run(t, admin(t, db), "UPDATE pizza SET price = 21 WHERE pizza_id = 'bbq_ckn_l'")
	eventually(t, "a real change is seen", func() bool { return s.total(t) == "21.00" })
}

// A pizza ordered right after it was put on the menu is never unknown.
func TestNewPizzaIsKnownAtOnce(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	menu := startLeavingMenu(t, db)
	s := startCached(t, db, menu.url)
	s.priced(t)
	ports := &apitest.Service{Internal: menu.url, Client: &http.Client{Timeout: time.Minute}}
	for i := range 5 {
		id := fmt.Sprint("bbq_ckn_x", i)
		a := ports.Call(t, http.MethodPut, "/int/menu/pizzas/"+id, fmt.Sprintf(`{"pizza_type_id":"bbq_ckn","size":"X%d","price":9}`, i),
			"Authorization", "Bearer "+adminToken, "Content-Type", "application/json")
		if a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		body := fmt.Sprintf(`{"branchId":"BRANCH001","lines":[{"pizza_id":%q,"quantity":1},{"name":"The Barbecue Chicken Pizza","size":"X%d","quantity":1}]}`, id, i)
		apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "ada"), body), http.StatusCreated)
	}
}

// While menu is unavailable, orders are priced from memory, and expected_total
// protects members from a price that they were not shown.
func TestPlaceOrderWithoutMenu(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	menu := startLeavingMenu(t, db)
	conn := admin(t, db)
	expecting := func(total string) string { return strings.Replace(bbq, "{", `{"expected_total":`+total+`,`, 1) }
	t.Run("from_memory", func(t *testing.T) {
		s := startWith(t, app.Config{
			DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menu.url, Timeout: 2 * time.Second},
			Quote: quotecache.Config{MaxStale: time.Hour},
		})
		s.priced(t)
		if got := s.total(t); got != "20.75" {
			t.Errorf("costs %s", got)
		}
		menu.away.Store(true)
		defer menu.away.Store(false)
		run(t, conn, "UPDATE pizza SET price = 30 WHERE pizza_id = 'bbq_ckn_l'")
		eventually(t, "prices are no longer fresh", func() bool { return s.metric(t, "order_quote_cache_stale") == 1 })
		bearer := s.as(t, "ada")
		apitest.Decode[api.PlacedOrder](t, s.order(t, bearer, bbq), http.StatusCreated)
		apitest.Decode[api.PlacedOrder](t, s.order(t, bearer, expecting("20.75")), http.StatusCreated)
		p := apitest.Decode[problem.Problem](t, s.order(t, bearer, expecting("30")), http.StatusConflict)
		if p.Detail != "the total is 20.75, not 30.00" {
			t.Error(p.Detail)
		}
		if n, stale := s.metric(t, `order_quotes_total{source="stale"}`), s.metric(t, "order_quote_cache_stale"); n != 3 || stale != 1 {
			t.Errorf("%g stale quotes, gauge %g", n, stale)
		}
		// A pizza that is not cached may be new, and is not rejected.
		a := s.order(t, bearer, strings.Replace(bbq, "bbq_ckn_l", "durian", 1))
		apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)

		menu.away.Store(false)
		run(t, conn, "UPDATE pizza SET price = 31 WHERE pizza_id = 'bbq_ckn_l'")
		eventually(t, "menu's price", func() bool { return s.total(t) == "31.00" })
		apitest.Decode[problem.Problem](t, s.order(t, bearer, expecting("20.75")), http.StatusConflict)
		apitest.Decode[api.PlacedOrder](t, s.order(t, bearer, expecting("31")), http.StatusCreated)
		run(t, conn, "UPDATE pizza SET price = 20.75 WHERE pizza_id = 'bbq_ckn_l'")
	})
	for name, config := range map[string]quotecache.Config{
		"too_old": {MaxStale: 1},
		"off":     {},
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, app.Config{
				DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menu.url, Timeout: 2 * time.Second}, Quote: config,
			})
			s.total(t)
			menu.away.Store(true)
			defer menu.away.Store(false)
			a := s.order(t, s.as(t, "ada"), bbq)
			p := apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
			if p.Detail != "the menu is unavailable; try again" || a.Header.Get("Retry-After") == "" {
				t.Errorf("detail %q, Retry-After %q", p.Detail, a.Header.Get("Retry-After"))
			}
			if a := s.get(t, "/healthz", ""); a.Status != http.StatusOK {
				t.Errorf("not ready without menu: %s", a.Body)
			}
		})
	}
}

// An incomplete catalog is rejected: nothing is sold for free.
func TestCatalogThatIsNotWhole(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	for name, body := range map[string]string{
		"nothing":     `{}`,
		"no_version":  `{"pizzas":[],"pizza_nms":[]}`,
		"no_pizzas":   `{"catalog_version":1,"pizza_nms":[]}`,
		"no_names":    `{"catalog_version":1,"pizzas":[]}`,
		"no_price":    `{"catalog_version":1,"pizza_nms":[],"pizzas":[{"pizza_id":"bbq_ckn_l","pizza_nm":"B","size":"L"}]}`,
		"null_price":  `{"catalog_version":1,"pizza_nms":[],"pizzas":[{"pizza_id":"bbq_ckn_l","pizza_nm":"B","size":"L","unit_price":null}]}`,
		"broken":      `{"catalog_version":1,"pizza_nms":[],"pizzas":[`,
		"not_menu":    `<html>`,
		"other_menu":  `{"catalog_version":1,"lines":[{"pizza_id":"bbq_ckn_l","unit_price":1}]}`,
		"text_prices": `{"catalog_version":1,"pizza_nms":[],"pizzas":[{"pizza_id":"bbq_ckn_l","pizza_nm":"B","size":"L","unit_price":"many"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startCached(t, db, stubMenu(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			apitest.Decode[problem.Problem](t, s.order(t, s.as(t, "ada"), bbq), http.StatusServiceUnavailable)
		})
	}
}

// While all prices change together and menu comes and goes, each order has the
// prices of one version, which was valid within the bound.
func TestPricesOfAnOrderBelongTogether(t *testing.T) {
	t.Parallel()
	const bound = 10 * time.Second // menu is never away for longer, and prices are read once a second
	db := migrationstest.NewSeeded(t)
	menu := startLeavingMenu(t, db)
	replicas := []*service{startCached(t, db, menu.url), startCached(t, db, menu.url)}
	conn := admin(t, db)
	run(t, conn, "UPDATE pizza SET price = 1")
	for _, r := range replicas {
		eventually(t, "the first price", func() bool { return r.total(t) == "1.00" })
	}
	var (
		mu     sync.Mutex
		valid  = map[int]time.Time{} // when a price was replaced; zero for the last
		newest = 1
		done   = make(chan struct{})
		buyers sync.WaitGroup
		placed atomic.Int64
	)
	for i := range 6 {
		s := replicas[i%2]
		header := append(member(s.as(t, fmt.Sprint("buyer", i))), "Content-Type", "application/json")
		buyers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				began := time.Now()
				a, err := s.Send(t.Context(), http.MethodPost, "/order/",
					`{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2},{"name":"The Hawaiian Pizza","size":"S","quantity":1},{"pizza_id":"hawaiian_m","quantity":3}]}`, header...)
				if err != nil || a.Status != http.StatusCreated && a.Status != http.StatusServiceUnavailable {
					t.Errorf("%d %s %v", a.Status, a.Body, err)
					return
				}
				if a.Status != http.StatusCreated {
					continue
				}
				o := apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated)
				placed.Add(1)
				price := o.Lines[0].UnitPrice
				mu.Lock()
				replaced, n := valid[int(price.Float())], newest
				mu.Unlock()
				switch {
				case !o.Lines[1].UnitPrice.Equal(price) || !o.Lines[2].UnitPrice.Equal(price) || !o.TotalPrice.Equal(price.Times(6)):
					t.Errorf("prices of several versions: %+v", o)
				case price.Cmp(money.MustParse("1")) < 0 || int(price.Float()) > n+1:
					t.Errorf("a price that never was: %+v", o)
				case !replaced.IsZero() && began.Sub(replaced) > bound:
					t.Errorf("the price %s was replaced %s before", price, began.Sub(replaced))
				}
			}
		})
	}
	for i := 2; i <= 60; i++ {
		switch i % 20 {
		case 10:
			menu.away.Store(true)
		case 12:
			menu.away.Store(false)
		}
		run(t, conn, "UPDATE pizza SET price = $1", i)
		mu.Lock()
		valid[i-1], newest = time.Now(), i
		mu.Unlock()
		for before := placed.Load(); placed.Load() < before+3 && !menu.away.Load(); time.Sleep(time.Millisecond) {
			if t.Failed() {
				break
			}
		}
	}
	for _, r := range replicas {
		eventually(t, "the last price", func() bool {
			a := r.order(t, r.as(t, "ada"), bbq)
			return a.Status == http.StatusCreated && strings.Contains(string(a.Body), `"total_price":60`)
		})
	}
	close(done)
	buyers.Wait()
	t.Logf("%d orders over 60 versions", placed.Load())
}
