// Package quotecache prices orders from memory, by menu's whole catalog of one version, so
// that an order does not wait for menu, and can be placed while menu is away.
//
// The catalog is polled from menu about once a second (a 304 while it has not changed). So
// an order is priced by a catalog that is about a second old, or by one that was read for
// it. While menu does not answer, the catalog in memory serves up to a maximum age.
// Members protect themselves from a price that changes meanwhile by expected_total.
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

// Validate reports a negative age.
func (c Config) Validate() error {
	if c.MaxStale < 0 {
		return errors.New("QUOTE_MAX_STALE must not be negative")
	}
	return nil
}

// Menu is the menu service.
type Menu interface {
	// Catalog returns the whole catalog, including every change that was committed before
	// the call, or held itself if nothing has changed. It returns Unavailable.
	Catalog(ctx context.Context, held *order.Catalog) (*order.Catalog, error)
}

const (
	// patience is the maximum wait for a menu that hangs, of an order that can be priced
	// from memory.
	patience = 500 * time.Millisecond
	// readTimeout bounds a read, which orders share. It is longer than a call to menu by
	// default, so that the call fails first and the breaker counts it.
	readTimeout = 10 * time.Second
	// retryAfter is for members, if menu names none.
	retryAfter = 2 * time.Second
	// A refusal by the catalog in memory is checked with menu, since the pizza may be new,
	// but at this rate at most: made-up pizzas must not cause load.
	checkEvery = time.Second
	checkBurst = 5
)

// Cache is an order.Pricer. Create it with New, Run it, and Close it.
type Cache struct {
	prices  *latest.Value[order.Catalog]
	metrics *metrics
	checks  *rate.Limiter
	idle    bool // no prices are kept, so none are read in advance
}

// New returns an empty cache.
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

// Run polls menu until ctx ends.
func (c *Cache) Run(ctx context.Context) {
	if !c.idle {
		c.prices.Run(ctx)
	}
}

// Close ends running reads. The cache must not be used afterwards.
func (c *Cache) Close() { c.prices.Close() }

// Quote implements order.Pricer. It returns Unavailable if menu does not answer and the
// catalog in memory is missing or too old.
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
		return nil, away(err) // the pizza may be new: only menu can reject it
	}
	if newer := c.check(ctx); newer != nil {
		prices = newer.Quote(lines)
	}
	return prices, nil
}

// check reads the current catalog for a pizza that is missing in memory. It returns nil if
// menu was checked too often, or does not answer.
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

// away returns the fault of an order that cannot be priced.
func away(cause error) error {
	var known *fault.Error
	if errors.As(cause, &known) {
		return cause
	}
	return fault.Wrap(cause, fault.Unavailable, "the menu is unavailable; try again").Retry(retryAfter)
}
