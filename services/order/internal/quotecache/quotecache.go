// Package quotecache prices orders from memory, by menu's whole catalog of one
// version, so that an order does not wait for menu, and is still taken while
// menu is away.
//
// What is held is trusted as long as three things are true: somebody listens to
// the database's channel catalog_updated, nothing newer has been announced
// there, and the maximum age is not reached, which bounds whatever goes wrong
// unnoticed. Else the catalog is loaded from menu, once for all orders that wait
// for it. A catalog that a newer one was announced for is forgotten at once. One
// that only might be outdated (an announcement may have been missed, or its age)
// is kept for the case that menu does not answer: then it still serves, up to
// the maximum staleness. The member's word against a price that changed
// meanwhile is expected_total.
//
// Each announcement begins an epoch, as does a new listening connection. A load
// belongs to the epoch that it began in, and is kept only if that is still the
// one. Nor is it believed when menu, which hears of a change for itself, answers
// with a version older than the announced one: it is asked again.
package quotecache

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/pizza/services/order/internal/order"
)

// Config bounds the age of prices.
type Config struct {
	MaxAge   time.Duration `env:"QUOTE_MAX_AGE" envDefault:"1m" doc:"Longest trust in the prices in memory without asking menu, should an announced change ever be missed; changes are announced at once. 0 keeps no prices: menu is asked for each order"`
	MaxStale time.Duration `env:"QUOTE_MAX_STALE" envDefault:"10m" doc:"Age up to which the prices in memory still serve while menu does not answer; then orders are 503. At least QUOTE_MAX_AGE"`
}

// Validate reports ages that make no sense.
func (c Config) Validate() error {
	switch {
	case c.MaxAge < 0:
		return errors.New("QUOTE_MAX_AGE must not be negative")
	case c.MaxStale < c.MaxAge:
		return errors.New("QUOTE_MAX_STALE must not be less than QUOTE_MAX_AGE")
	default:
		return nil
	}
}

// Menu is the menu service.
type Menu interface {
	order.Pricer
	// Catalog returns everything that quotes are made of, as it is now. It
	// returns Unavailable.
	Catalog(ctx context.Context) (*order.Catalog, error)
}

const (
	// loadTime bounds a load, which no single order owns. It is longer than a call
	// to menu may take, so that it is the call that fails, and the breaker sees it.
	loadTime = 10 * time.Second
	// patience is how long an order that can be priced from memory waits for a
	// menu that says nothing.
	patience = 500 * time.Millisecond
	// retryPause is how long menu is left alone after it has failed, where there
	// are prices that may serve: nobody waits in vain twice a second.
	retryPause = time.Second
	// A refusal by what is in memory is checked with menu, since the pizza may be
	// new, but not more often than this: made-up pizzas must not become load.
	checkEvery = time.Second
	checkBurst = 5
)

// Cache is an order.Pricer. Make it with New, and Close it.
type Cache struct {
	menu    Menu
	config  Config
	log     *slog.Logger
	metrics *metrics
	now     func() time.Time
	checks  *rate.Limiter

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu        sync.Mutex
	held      *order.Catalog // nil before the first load, and when a newer one was announced
	heldEpoch int64
	checked   time.Time // when held was last known to be the newest
	epoch     int64
	listening bool
	announced int64 // version that was announced last; 0 on a new connection
	heard     time.Time
	loading   *load
	begun     int64     // loads so far
	failed    time.Time // when menu last did not answer; zero if it did since
	stale     bool      // prices that are not trusted are being served
}

// New returns a cache that holds nothing yet. Let it Listen: until then menu is
// asked for each order. now is the clock, time.Now outside of
// tests.
func New(menu Menu, c Config, log *slog.Logger, m Registerer, now func() time.Time) *Cache {
	ctx, stop := context.WithCancel(context.Background())
	cache := &Cache{
		menu: menu, config: c, log: log, now: now, ctx: ctx, stop: stop,
		checks: rate.NewLimiter(rate.Every(checkEvery), checkBurst),
	}
	cache.metrics = newMetrics(m, cache)
	return cache
}

// Close ends the loads that still run. No order may come after it.
func (c *Cache) Close() {
	c.stop()
	c.work.Wait()
}

// Quote prices all lines by one version of the catalog, in their order. It
// returns Unavailable when menu does not answer and nothing in memory may serve
// instead.
func (c *Cache) Quote(ctx context.Context, lines []order.NewLine) ([]order.Price, error) {
	if c.config.MaxAge == 0 {
		return c.menu.Quote(ctx, lines)
	}
	catalog, from, err := c.catalog(ctx)
	c.metrics.quotes.WithLabelValues(string(from)).Inc()
	if catalog == nil {
		return nil, err
	}
	prices := catalog.Quote(lines)
	if from == fromMenu || !slices.ContainsFunc(prices, func(p order.Price) bool { return p.Refused != "" }) {
		return prices, nil
	}
	if from == fromStale {
		return nil, err // the pizza may be new: only menu can refuse it
	}
	if newer := c.check(ctx); newer != nil {
		prices = newer.Quote(lines)
	}
	return prices, nil
}

// source is where a price comes from.
type source string

const (
	fromMemory  source = "memory"
	fromMenu    source = "menu"
	fromStale   source = "stale"
	fromNowhere source = "none"
)

// catalog returns the catalog to price an order by. With fromStale, err says why
// it is not a better one.
func (c *Cache) catalog(ctx context.Context) (_ *order.Catalog, _ source, err error) {
	c.mu.Lock()
	held, after, stale := c.held, c.begun, c.usable()
	if c.listening {
		after = anyTrusted
	}
	switch {
	case c.trusted():
		c.mu.Unlock()
		return held, fromMemory, nil
	case stale && !c.failed.IsZero() && c.now().Sub(c.failed) < retryPause:
		c.servesStale(ctx)
		c.mu.Unlock()
		return held, fromStale, away(errors.New("it did not answer a moment ago"))
	}
	c.mu.Unlock()

	var loaded *order.Catalog
	if stale {
		loaded, err = c.loadSoon(ctx, after)
		c.mu.Lock()
		stale = c.usable()
		c.mu.Unlock()
	}
	if !stale && loaded == nil { // nothing may serve instead: worth the whole wait
		loaded, err = c.load(ctx, after)
	}
	if err == nil {
		return loaded, fromMenu, nil
	}
	if ctx.Err() != nil {
		return nil, fromNowhere, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.usable() {
		c.servesStale(ctx)
		return c.held, fromStale, err
	}
	c.servesNone(ctx)
	return nil, fromNowhere, err
}

// check asks menu whether there is anything newer than what is trusted, if it is
// time to, and returns nil if menu does not say.
func (c *Cache) check(ctx context.Context) *order.Catalog {
	if !c.checks.AllowN(c.now(), 1) {
		return nil
	}
	c.mu.Lock()
	after := c.begun
	c.mu.Unlock()
	newer, err := c.loadSoon(ctx, after)
	if err != nil {
		return nil
	}
	return newer
}

// trusted says whether something is held that is known to be the newest. The caller has
// the lock.
func (c *Cache) trusted() bool {
	return c.held != nil && c.listening && c.heldEpoch == c.epoch && c.now().Sub(c.checked) < c.config.MaxAge
}

// usable says whether there is something that may serve without menu. The caller
// has the lock.
func (c *Cache) usable() bool {
	return c.held != nil && c.now().Sub(c.checked) < c.config.MaxStale
}

// servesStale notes that orders are priced without menu. The caller has the
// lock, as that of the next ones.
func (c *Cache) servesStale(ctx context.Context) {
	if !c.stale {
		c.stale = true
		c.log.WarnContext(ctx, "menu does not answer; orders are priced from memory",
			"catalog_version", c.held.Version, "age", c.now().Sub(c.checked).String(), "until", c.checked.Add(c.config.MaxStale))
	}
}

// servesNone notes that there are no prices any more.
func (c *Cache) servesNone(ctx context.Context) {
	if c.stale {
		c.stale = false
		c.log.WarnContext(ctx, "menu does not answer, and no price in memory may serve any longer; orders are refused")
	}
}

// servesMenu notes that menu answers.
func (c *Cache) servesMenu(ctx context.Context) {
	c.failed = time.Time{}
	if c.stale {
		c.stale = false
		c.log.InfoContext(ctx, "menu answers again; orders are priced by it")
	}
}
