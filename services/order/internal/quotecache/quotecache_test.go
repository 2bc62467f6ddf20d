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
	"go.uber.org/goleak"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/quotecache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// menu is a menu whose answers the test holds back: what a real one does at one
// moment in a thousand. The tests of package app have the real one. Its pizza a
// costs as many as its version.
type menu struct {
	mu      sync.Mutex
	version int64
	extra   string // another pizza
	err     error
	loads   int
	quotes  int
	hold    chan struct{} // a load waits for it, after it has read
	reading chan struct{} // gets a value when a load has read
	ended   chan error    // gets how a load has ended that was held
}

func newMenu() *menu {
	return &menu{version: 1, reading: make(chan struct{}, 1000), ended: make(chan error, 1000)}
}

func (m *menu) Catalog(ctx context.Context) (*order.Catalog, error) {
	m.mu.Lock()
	m.loads++
	pizzas := []order.Pizza{{ID: "a", Name: "A", Size: "L", Price: money.MustParse(strconv.FormatInt(m.version, 10))}}
	if m.extra != "" {
		pizzas = append(pizzas, order.Pizza{ID: m.extra})
	}
	c, err, hold := order.NewCatalog(m.version, pizzas, []string{"A"}), m.err, m.hold
	m.mu.Unlock()
	if hold != nil {
		m.reading <- struct{}{}
		select {
		case <-hold:
			m.ended <- nil
		case <-ctx.Done():
			m.ended <- ctx.Err()
			return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "away")
		}
	}
	return c, err
}

func (m *menu) Quote(context.Context, []order.NewLine) ([]order.Price, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.quotes++
	return []order.Price{{PizzaID: "quoted"}}, m.err
}

func (m *menu) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *menu) loaded() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loads
}

// cache is the cache under test, with its clock and its log.
type cache struct {
	*quotecache.Cache
	t   *testing.T
	log *bytes.Buffer // of what Quote logs: read it when nothing else runs
	reg *prometheus.Registry

	mu    sync.Mutex
	clock time.Time
}

func start(t *testing.T, m *menu, config quotecache.Config) *cache {
	t.Helper()
	c := &cache{t: t, log: &bytes.Buffer{}, reg: prometheus.NewRegistry(), clock: time.Unix(1_000_000, 0)}
	c.Cache = quotecache.New(m, config, slog.New(slog.NewTextHandler(c.log, nil)), c.reg, c.now)
	t.Cleanup(c.Close)
	return c
}

func standard() quotecache.Config {
	return quotecache.Config{MaxAge: time.Minute, MaxStale: 10 * time.Minute}
}

func (c *cache) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

func (c *cache) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock = c.clock.Add(d)
}

func (c *cache) connect()              { c.Handler().Connected(c.t.Context()) }
func (c *cache) notify(payload string) { c.Handler().Notified(c.t.Context(), payload) }
func (c *cache) lose()                 { c.Handler().Lost(errors.New("cut")) }

// quote prices pizza a.
func (c *cache) quote(ctx context.Context) (string, error) {
	prices, err := c.Quote(ctx, []order.NewLine{{PizzaID: "a"}, {Name: "A", Size: "L"}})
	if err != nil {
		return "", err
	}
	if prices[0] != prices[1] {
		c.t.Errorf("one quote of two versions: %+v", prices)
	}
	return prices[0].Unit.String(), nil
}

func (c *cache) want(price string) {
	c.t.Helper()
	if got, err := c.quote(c.t.Context()); got != price || err != nil {
		c.t.Fatalf("%q, %v, want %s", got, err, price)
	}
}

func (c *cache) wantNone() {
	c.t.Helper()
	_, err := c.quote(c.t.Context())
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Unavailable || f.RetryAfter <= 0 {
		c.t.Fatalf("%v, want Unavailable with a time to try again", err)
	}
}

// value reads a metric; label is the value of its only label.
func (c *cache) value(name, label string) float64 {
	c.t.Helper()
	families, err := c.reg.Gather()
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return -1
}

var errAway = fault.New(fault.Unavailable, "away").Retry(time.Second)

func TestListening(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, standard())
	c.connect()
	for range 10 {
		c.want("1.00")
	}
	if n := m.loaded(); n != 1 {
		t.Errorf("%d loads, want 1", n)
	}
	m.set(func() { m.version = 2 })
	c.want("1.00") // nobody has told it
	c.notify("2")
	c.want("2.00")
	c.notify("2")
	c.notify("1")
	c.want("2.00")
	if n := m.loaded(); n != 2 {
		t.Errorf("%d loads, want 2", n)
	}
	m.set(func() { m.version = 3 })
	c.notify("no number") // something has changed
	c.want("3.00")
	c.pass(time.Second)
	if v, age := c.value("order_quote_cache_version", ""), c.value("order_quote_cache_age_seconds", ""); v != 3 || age != 1 {
		t.Errorf("version %g, age %g", v, age)
	}
}

// While nothing is heard, each order asks; a new connection reloads.
func TestLost(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, standard())
	for i := range 5 {
		m.set(func() { m.version++ })
		c.want(strconv.Itoa(i+2) + ".00")
	}
	c.connect()
	c.want("6.00")
	c.lose()
	m.set(func() { m.version = 7 })
	c.want("7.00")
	m.set(func() { m.version = 8 })
	c.connect()
	c.want("8.00")
	m.set(func() { m.version = 1 }) // a backup was restored
	c.lose()
	c.want("1.00")
	c.connect()
	c.want("1.00")
	m.set(func() { m.version = 2 })
	c.notify("2")
	c.want("2.00")
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, standard())
	c.connect()
	c.want("1.00")
	m.set(func() { m.version = 2 })
	c.pass(time.Minute - 1)
	c.want("1.00")
	c.pass(1)
	c.want("2.00")
}

// Menu hears of a change for itself, and may answer with the version before it:
// that is not believed. A menu that stays behind for longer knows better.
func TestMenuThatLagsBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMenu()
		c := start(t, m, standard())
		c.connect()
		c.want("1.00")
		c.notify("2")
		time.AfterFunc(time.Second, func() { m.set(func() { m.version = 2 }) })
		c.want("2.00")
		if n := c.value("order_quote_cache_loads_total", "outdated"); n < 2 || n > 10 {
			t.Errorf("%g loads were outdated", n)
		}
		c.notify("3")
		c.wantNone() // menu never hears of it
		c.pass(time.Minute)
		c.want("2.00")
	})
}

// A load that read before an announcement or a new connection is over when that
// comes: the next order has what is newer, and nobody ever has the old again.
func TestOvertakenLoad(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*cache, *menu){
		"announcement": func(c *cache, _ *menu) { c.notify("2") },
		"unknown":      func(c *cache, _ *menu) { c.notify("") },
		"connection":   func(c *cache, _ *menu) { c.lose(); c.connect() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMenu()
			first := make(chan struct{})
			m.hold = first
			c := start(t, m, standard())
			c.connect()
			<-m.reading // version 1 is read, and not delivered
			var waiter sync.WaitGroup
			waiter.Go(func() {
				if _, err := c.quote(t.Context()); err != nil {
					t.Error(err)
				}
			})
			m.set(func() { m.hold, m.version = nil, 2 })
			change(c, m)
			c.want("2.00")
			close(first)
			waiter.Wait()
			for range 3 {
				c.want("2.00")
			}
		})
	}
}

func TestOneLoadForAll(t *testing.T) {
	t.Parallel()
	m := newMenu()
	m.hold = make(chan struct{})
	c := start(t, m, standard())
	c.connect()
	<-m.reading
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if got, err := c.quote(t.Context()); got != "1.00" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	close(m.hold)
	all.Wait()
	if n := m.loaded(); n != 1 {
		t.Errorf("%d loads", n)
	}
}

// A load does not end with who began it while others wait, and ends when nobody
// does.
func TestCallersThatGoAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMenu()
		m.hold = make(chan struct{})
		c := start(t, m, standard())
		begin := func(want error) (goAway func()) {
			ctx, cancel := context.WithCancel(t.Context())
			var w sync.WaitGroup
			w.Go(func() {
				if _, err := c.quote(ctx); !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			})
			synctest.Wait() // it waits for the load
			return func() { cancel(); w.Wait() }
		}
		first, second, third := begin(context.Canceled), begin(context.Canceled), begin(context.Canceled)
		first()
		third()
		synctest.Wait()
		if n := len(m.ended); n != 0 {
			t.Errorf("the load has ended with %v while one waits", <-m.ended)
		}
		second()
		if err := <-m.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("a load that nobody waits for ended with %v", err)
		}
		c.connect() // a load ahead of the next order
		first, second = begin(context.Canceled), begin(nil)
		first()
		close(m.hold)
		synctest.Wait()
		second()
		if n := m.loaded(); n != 2 || c.value("order_quote_cache_loads_total", "abandoned") != 1 || c.value("order_quote_cache_loads_total", "kept") != 1 {
			t.Errorf("%d loads", n)
		}
	})
}

// Without menu, what is in memory serves up to the bound, with one log line for
// the begin and one for the end.
func TestMenuAway(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, standard())
	c.connect()
	c.want("1.00")
	c.lose() // the database is away too
	m.set(func() { m.err = errAway })
	before := m.loaded()
	for range 100 {
		c.want("1.00")
	}
	if n := m.loaded() - before; n != 1 {
		t.Errorf("a menu that has failed is asked %d times in one moment", n)
	}
	c.pass(10*time.Minute - 1)
	c.want("1.00")
	if n, stale := c.value("order_quotes_total", "stale"), c.value("order_quote_cache_stale", ""); n != 101 || stale != 1 {
		t.Errorf("%g quotes were stale, the gauge is %g", n, stale)
	}
	c.pass(1)
	c.wantNone()
	c.wantNone()
	if stale := c.value("order_quote_cache_stale", ""); stale != 0 {
		t.Errorf("the gauge is %g", stale)
	}
	m.set(func() { m.err, m.version = nil, 2 })
	c.want("2.00")
	m.set(func() { m.err = errAway })
	c.want("2.00")
	m.set(func() { m.err, m.version = nil, 3 })
	c.pass(time.Second)
	c.want("3.00")
	for line, n := range map[string]int{
		"menu does not answer; orders are priced from memory": 2, "orders are refused": 1, "menu answers again": 1,
	} {
		if got := strings.Count(c.log.String(), line); got != n {
			t.Errorf("%q is logged %d times, want %d:\n%s", line, got, n, c.log)
		}
	}
}

// A menu that says nothing costs one order its patience, and the others nothing.
func TestMenuSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMenu()
		c := start(t, m, standard())
		c.connect()
		c.want("1.00")
		c.pass(time.Minute)
		m.set(func() { m.hold, m.version = make(chan struct{}), 2 })
		began := time.Now()
		for range 100 {
			c.want("1.00")
		}
		if took := time.Since(began); took != 500*time.Millisecond {
			t.Errorf("100 orders waited %s", took)
		}
		close(m.hold)
		synctest.Wait()
		c.want("2.00") // of the load that nobody has waited for
		if n := m.loaded(); n != 2 {
			t.Errorf("%d loads, want 2", n)
		}
		c.pass(time.Minute)
		m.set(func() { m.hold = make(chan struct{}) })
		time.AfterFunc(100*time.Millisecond, func() { m.set(func() { m.version = 3 }); c.notify("3") })
		time.AfterFunc(2*time.Second, func() { close(m.hold) })
		c.want("3.00") // what was there to serve is none any more: worth the whole wait
	})
}

// What is known to be outdated is for nobody.
func TestMenuAwayAfterAnAnnouncement(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, standard())
	c.connect()
	c.want("1.00")
	m.set(func() { m.err = errAway })
	c.notify("2")
	c.wantNone()
	m.set(func() { m.err, m.version = nil, 2 })
	c.want("2.00")
}

func TestNothingHeldAndMenuAway(t *testing.T) {
	t.Parallel()
	m := newMenu()
	m.err = errAway
	c := start(t, m, standard())
	c.connect()
	c.wantNone()
}

// A pizza that is not in memory may be new. Menu is asked, but a flood of
// made-up pizzas is not passed on.
func TestUnknownPizza(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, standard())
	c.connect()
	c.want("1.00")
	refused := func(id string) string {
		t.Helper()
		prices, err := c.Quote(t.Context(), []order.NewLine{{PizzaID: id}})
		if err != nil {
			t.Fatal(err)
		}
		return prices[0].Refused
	}
	m.set(func() { m.extra = "new" })
	if why := refused("new"); why != "" {
		t.Errorf("the new pizza %s", why)
	}
	before := m.loaded()
	for i := range 1000 {
		if why := refused("bogus" + strconv.Itoa(i)); why != order.UnknownPizza {
			t.Fatalf("a made-up pizza: %q", why)
		}
	}
	if n := m.loaded() - before; n > 5 {
		t.Errorf("menu is asked %d times for 1000 made-up pizzas", n)
	}
	c.pass(10 * time.Second)
	m.set(func() { m.extra = "newer" })
	if why := refused("newer"); why != "" {
		t.Errorf("the newer pizza %s", why)
	}
	m.set(func() { m.err = errAway })
	if why := refused("bogus"); why != order.UnknownPizza {
		t.Errorf("what is trusted refuses also without menu: %q", why)
	}
	c.lose() // now it is not trusted: only menu can refuse
	if _, err := c.Quote(t.Context(), []order.NewLine{{PizzaID: "bogus"}}); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("stale: %v", err)
	}
}

func TestOff(t *testing.T) {
	t.Parallel()
	m := newMenu()
	c := start(t, m, quotecache.Config{MaxStale: time.Minute})
	for range 3 {
		if prices, err := c.Quote(t.Context(), nil); err != nil || prices[0].PizzaID != "quoted" {
			t.Errorf("%+v, %v", prices, err)
		}
	}
	if m.loads != 0 || m.quotes != 3 {
		t.Errorf("%d loads, %d quotes", m.loads, m.quotes)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config quotecache.Config
		bad    string
	}{
		"ok":                    {standard(), ""},
		"off":                   {quotecache.Config{}, ""},
		"never_stale":           {quotecache.Config{MaxAge: 1, MaxStale: 1}, ""},
		"negative":              {quotecache.Config{MaxAge: -1}, "QUOTE_MAX_AGE"},
		"stale_less_than_fresh": {quotecache.Config{MaxAge: 2, MaxStale: 1}, "QUOTE_MAX_STALE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := test.config.Validate(); (err != nil) != (test.bad != "") || err != nil && !strings.HasPrefix(err.Error(), test.bad) {
				t.Error(err)
			}
		})
	}
}
