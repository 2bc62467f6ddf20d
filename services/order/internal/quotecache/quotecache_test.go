package quotecache_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/latest"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/quotecache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// menu is a menu whose responses the test controls; the tests of package app
// use the real one. The price of its pizza a is its version.
type menu struct {
	mu      sync.Mutex
	version int64
	extra   string // another pizza
	err     error
	silent  bool
	asked   int
}

func (m *menu) Catalog(ctx context.Context, held *order.Catalog) (*order.Catalog, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	switch {
	case m.silent:
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "away")
	case m.err != nil:
		return nil, m.err
	case held != nil && held.Version == m.version:
		return held, nil
	}
	pizzas := []order.Pizza{{ID: "a", Name: "A", Size: "L", Price: money.MustParse(strconv.FormatInt(m.version, 10))}}
	if m.extra != "" {
		pizzas = append(pizzas, order.Pizza{ID: m.extra})
	}
	return order.NewCatalog(m.version, pizzas, []string{"A"}), nil
}

func (m *menu) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *menu) calls() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

// maxStale is the maximum age in the tests.
const maxStale = 10 * time.Minute

// cache is the cache under test, on a fake clock.
type cache struct {
	*quotecache.Cache
	t   *testing.T
	log bytes.Buffer
	reg *prometheus.Registry
}

func start(t *testing.T, m *menu, c quotecache.Config, f func(*cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &cache{t: t, reg: prometheus.NewRegistry()}
		k.Cache = quotecache.New(m, c, slog.New(slog.NewTextHandler(&k.log, nil)), k.reg)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { k.Run(ctx) })
		synctest.Wait()
		f(k)
		stop()
		running.Wait()
		k.Close()
	})
}

// want prices a pizza. price is "" if the pizza is rejected, and "503" if the order is.
func (c *cache) want(pizza, price string) {
	c.t.Helper()
	began := time.Now()
	prices, err := c.Quote(c.t.Context(), []order.NewLine{{PizzaID: pizza}})
	got := "503"
	if err == nil {
		got = strings.TrimSuffix(prices[0].Unit.String(), ".00")
		if prices[0].Refused != "" {
			got = ""
		}
	} else if f := new(fault.Error); !errors.As(err, &f) || f.Code != fault.Unavailable || f.RetryAfter == 0 {
		c.t.Errorf("refused without Retry-After: %v", err)
	}
	if got != price {
		c.t.Errorf("%s costs %q, want %q: %v", pizza, got, price, err)
	}
	if took := time.Since(began); took > time.Second {
		c.t.Errorf("the order waited %s", took)
	}
}

func (c *cache) wantMetrics(text string) {
	c.t.Helper()
	var names []string
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			names = append(names, strings.Fields(name)[0])
		}
	}
	if err := testutil.GatherAndCompare(c.reg, strings.NewReader(text), names...); err != nil {
		c.t.Error(err)
	}
}

// Orders are priced from memory, with prices at most about a second old.
func TestPricesFromMemory(t *testing.T) {
	m := &menu{version: 1}
	start(t, m, quotecache.Config{MaxStale: maxStale}, func(c *cache) {
		asked := m.calls()
		for range 1000 {
			c.want("a", "1")
		}
		if n := m.calls(); n != asked {
			t.Errorf("menu was asked %d times for 1000 orders", n-asked)
		}
		m.set(func() { m.version = 2 })
		time.Sleep(latest.Every * 12 / 10)
		c.want("a", "2")
		m.set(func() { m.version = 1 }) // a backup was restored
		time.Sleep(latest.Every * 12 / 10)
		c.want("a", "1")
	})
}

// A pizza that is not cached may be new: menu is asked, but not for every
// made-up one.
func TestRefusalIsChecked(t *testing.T) {
	m := &menu{version: 1}
	start(t, m, quotecache.Config{MaxStale: maxStale}, func(c *cache) {
		c.want("new", "")
		m.set(func() { m.version, m.extra = 2, "new" })
		c.want("new", "0")
		c.want("a", "2")
		time.Sleep(time.Minute)
		asked := m.calls()
		for range 1000 {
			c.want("made up", "")
		}
		if n := m.calls() - asked; n != 5 {
			t.Errorf("menu was asked %d times for 1000 made-up pizzas", n)
		}
	})
}

// While menu is unavailable, orders are priced from memory up to the maximum
// age, without waiting for menu.
func TestMenuAway(t *testing.T) {
	for name, breakIt := range map[string]func(*menu){
		"refuses": func(m *menu) { m.err = fault.New(fault.Unavailable, "away").Retry(time.Second) },
		"silent":  func(m *menu) { m.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			m := &menu{version: 1}
			start(t, m, quotecache.Config{MaxStale: maxStale}, func(c *cache) {
				m.set(func() { breakIt(m); m.version, m.extra = 2, "new" })
				c.want("a", "1")
				time.Sleep(latest.Fresh)
				c.want("a", "1")
				c.want("new", "503") // it may be new
				c.wantMetrics(`
# HELP order_quotes_total Orders by where their prices came from: memory, menu (read for them), stale (memory, because menu does not answer), or none.
# TYPE order_quotes_total counter
order_quotes_total{source="memory"} 1
order_quotes_total{source="menu"} 0
order_quotes_total{source="none"} 0
order_quotes_total{source="stale"} 2
# HELP order_quote_cache_stale 1 while orders are priced from memory because menu does not answer.
# TYPE order_quote_cache_stale gauge
order_quote_cache_stale 1
# HELP order_quote_cache_version Version of the catalog in memory; 0 for none.
# TYPE order_quote_cache_version gauge
order_quote_cache_version 1
`)
				time.Sleep(maxStale - 2*latest.Fresh)
				c.want("a", "1")
				time.Sleep(2 * latest.Fresh)
				if m.err != nil {
					c.want("a", "503")
				}
				m.set(func() { m.err, m.silent = nil, false })
				time.Sleep(12 * time.Second) // a hanging read times out
				c.want("a", "2")
				c.want("new", "0")
				if n := strings.Count(c.log.String(), "menu does not answer"); n != 1 || strings.Count(c.log.String(), "menu answers again") != 1 {
					t.Errorf("logged:\n%s", &c.log)
				}
			})
		})
	}
}

// Without a maximum age each order asks menu, and nothing else does.
func TestNothingIsKept(t *testing.T) {
	m := &menu{version: 1}
	start(t, m, quotecache.Config{}, func(c *cache) {
		time.Sleep(time.Minute)
		if n := m.calls(); n != 0 {
			t.Errorf("menu was asked %d times for no order", n)
		}
		c.want("a", "1")
		m.set(func() { m.version = 2 })
		c.want("a", "2")
		m.set(func() { m.err = errors.New("away") })
		c.want("a", "503")
	})
}
