// Package quotecache prices orders from memory, by menu's whole catalog of one
// version, so that an order does not wait for menu, and is still taken while
// menu is away.
//
// The catalog is read from menu about once a second, which costs a 304 while it
// has not changed. So an order is priced by a catalog that is about a second old,
// or by one that was read for it. While menu does not answer, what is in memory
// serves up to a maximum staleness. The member's word against a price that
// changed meanwhile is expected_total.
package quotecache

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/latest"
	"example.com/pizza/services/order/internal/order"
)

// Config bounds the age of prices.
type Config struct {
	MaxStale time.Duration `env:"QUOTE_MAX_STALE" envDefault:"10m" doc:"Maximum age of the prices in memory while menu does not answer; beyond it, orders are 503. 0 reads menu for each order"`
}

// Validate reports an age that makes no sense.
func (c Config) Validate() error {
	if c.MaxStale < 0 {
		return errors.New("QUOTE_MAX_STALE must not be negative")
	}
	return nil
}

// Menu is the menu service.
type Menu interface {
	// Catalog returns everything that prices are made of, with every change that was
	// committed before the call: held itself if nothing has changed. It returns
	// Unavailable.
	Catalog(ctx context.Context, held *order.Catalog) (*order.Catalog, error)
}

const (
	// patience is how long an order that can be priced from memory waits for a
	// menu that says nothing.
	patience = 500 * time.Millisecond
	// readTimeout bounds a read, which no single order owns. It is longer than a
	// call to menu may take by default, so that it is the call that fails, and the
	// breaker sees it.
	readTimeout = 10 * time.Second
	// retryAfter is what a member is told where menu says nothing better.
	retryAfter = 2 * time.Second
	// A refusal by what is in memory is checked with menu, since the pizza may be
	// new, but not more often than this: made-up pizzas must not become load.
	checkEvery = time.Second
	checkBurst = 5
)

// Cache is an order.Pricer. Make it with New, Run it, and Close it.
type Cache struct {
	prices  *latest.Value[order.Catalog]
	metrics *metrics
	checks  *rate.Limiter
	idle    bool // nothing is kept, so nothing is read in advance
}

// New returns a cache that holds nothing yet.
func New(menu Menu, c Config, log *slog.Logger, m Registerer) *Cache {
	cache := &Cache{checks: rate.NewLimiter(rate.Every(checkEvery), checkBurst), idle: c.MaxStale == 0}
	read := func(ctx context.Context, held *order.Catalog) (*order.Catalog, error) {
		catalog, err := menu.Catalog(ctx, held)
		outcome := "loaded"
		switch {
		case err != nil:
			outcome = "failed"
		case catalog == held:
			outcome = "unchanged"
		}
		cache.metrics.loads.WithLabelValues(outcome).Inc()
		return catalog, err
	}
	cache.prices = latest.New(read, latest.Config{
		Stale: c.MaxStale, Patience: patience, Timeout: readTimeout,
		Failed: func(ctx context.Context, err error) {
			log.WarnContext(ctx, "menu does not answer", "prices_serve_for", c.MaxStale.String(), "error", err)
		},
		Recovered: func(ctx context.Context) { log.InfoContext(ctx, "menu answers again") },
	})
	cache.metrics = newMetrics(m, cache.prices.State)
	return cache
}

// Run keeps the prices up to date until ctx ends.
func (c *Cache) Run(ctx context.Context) {
	if !c.idle {
		c.prices.Run(ctx)
	}
}

// Close ends the reads that still run. No order may come after it.
func (c *Cache) Close() { c.prices.Close() }

// Quote prices all lines by one version of the catalog, in their order. It
// returns Unavailable when menu does not answer and nothing in memory may serve
// instead.
func (c *Cache) Quote(ctx context.Context, lines []order.NewLine) ([]order.Price, error) {
	catalog, from, err := c.prices.Get(ctx)
	c.metrics.quotes.WithLabelValues(source(from)).Inc()
	if from == latest.None {
		return nil, away(err)
	}
	prices := catalog.Quote(lines)
	if from == latest.Read || !slices.ContainsFunc(prices, func(p order.Price) bool { return p.Refused != "" }) {
		return prices, nil
	}
	if from == latest.Stale {
		return nil, away(err) // the pizza may be new: only menu can refuse it
	}
	if newer := c.check(ctx); newer != nil {
		prices = newer.Quote(lines)
	}
	return prices, nil
}

// check asks menu whether there is anything newer than what is in memory, unless
// it was asked too often, and returns nil if menu does not say.
func (c *Cache) check(ctx context.Context) *order.Catalog {
	if !c.checks.Allow() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	newer, err := c.prices.Newest(ctx)
	if err != nil {
		return nil
	}
	return newer
}

// away is the fault of an order that cannot be priced.
func away(cause error) error {
	var known *fault.Error
	if errors.As(cause, &known) {
		return cause
	}
	return fault.Wrap(cause, fault.Unavailable, "the menu does not answer; try again").Retry(retryAfter)
}
