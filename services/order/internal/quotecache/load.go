package quotecache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/order/internal/order"
)

// load is one reading of the catalog, for all who wait for it. It ends early
// when nobody does any more.
type load struct {
	number  int64
	epoch   int64
	atLeast int64 // version that menu must have reached
	began   time.Time
	cancel  context.CancelFunc
	waiting int  // orders
	wanted  bool // also without an order that waits
	done    chan struct{}

	catalog *order.Catalog // after done, as is the next
	err     error
}

// anyTrusted asks for no load in particular.
const anyTrusted = -1

const (
	firstPause = 10 * time.Millisecond // before menu is asked again for a version that it has not heard of
	lastPause  = 500 * time.Millisecond
	retryAfter = 2 * time.Second // what a member is told
)

var errPatience = errors.New("menu takes too long for who has other prices")

// loadSoon is load for who has something else, and so little patience. A load
// that takes longer goes on, and whoever comes meanwhile does not wait for it.
func (c *Cache) loadSoon(ctx context.Context, after int64) (*order.Catalog, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	return c.load(ctx, after)
}

// load returns the catalog of a load that began after the one with a number, or
// with anyTrusted, one that is trusted. Others may share it. It returns
// Unavailable.
func (c *Cache) load(ctx context.Context, after int64) (*order.Catalog, error) {
	for {
		c.mu.Lock()
		if after == anyTrusted && c.trusted() {
			defer c.mu.Unlock()
			return c.held, nil // it has come just now
		}
		l, begun := c.join(ctx), c.begun
		l.waiting++
		c.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			c.leave(l, context.Cause(ctx))
			return nil, away(context.Cause(ctx))
		}
		switch {
		case l.err != nil:
			return nil, l.err
		case after != anyTrusted && l.number > after:
			return l.catalog, nil
		case after == anyTrusted:
			after = begun // whatever happens meanwhile, the next load is good
			c.mu.Lock()
			newest := c.listening && l.epoch == c.epoch
			c.mu.Unlock()
			if newest {
				return l.catalog, nil
			}
		}
	}
}

// join returns the load of this epoch, which it begins if there is none. The
// caller has the lock.
func (c *Cache) join(ctx context.Context) *load {
	if c.loading != nil {
		if c.loading.epoch == c.epoch {
			return c.loading
		}
		c.loading.wanted = false
		c.endUnwanted(c.loading)
	}
	c.begun++
	l := &load{number: c.begun, epoch: c.epoch, began: c.now(), done: make(chan struct{})}
	if l.began.Sub(c.heard) < c.config.MaxAge {
		// Later, menu knows better: a restored database counts from less.
		l.atLeast = c.announced
	}
	c.loading = l
	ctx, l.cancel = context.WithTimeout(context.WithoutCancel(ctx), loadTime) // others may wait for it too
	forget := context.AfterFunc(c.ctx, l.cancel)                              //nolint:contextcheck // the load ends with the cache, not with who asked first
	c.work.Go(func() {
		defer l.cancel()
		defer forget()
		l.catalog, l.err = c.read(ctx, l.atLeast)
		c.finish(ctx, l)
	})
	return l
}

// leave says that an order does not wait any more, and why.
func (c *Cache) leave(l *load, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.waiting--
	if errors.Is(why, errPatience) {
		l.wanted = true
		c.failed = c.now()
	}
	c.endUnwanted(l)
}

// endUnwanted ends a load that nobody wants. The caller has the lock.
func (c *Cache) endUnwanted(l *load) {
	if l.waiting > 0 || l.wanted {
		return
	}
	l.cancel()
	if c.loading == l {
		c.loading = nil
	}
}

// read reads the catalog, again and again until it is of a version at least. It
// returns Unavailable.
func (c *Cache) read(ctx context.Context, atLeast int64) (*order.Catalog, error) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		catalog, err := c.menu.Catalog(ctx)
		if err != nil || catalog.Version >= atLeast {
			return catalog, err
		}
		c.metrics.loads.WithLabelValues("outdated").Inc()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, away(fmt.Errorf("menu is at version %d, and %d is announced", catalog.Version, atLeast))
		}
	}
}

// finish keeps what was loaded, unless it may be old already, and lets go who
// waits for it.
func (c *Cache) finish(ctx context.Context, l *load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer close(l.done)
	if c.loading == l {
		c.loading = nil
	}
	outcome := "kept"
	switch {
	case l.err != nil && l.waiting == 0 && !l.wanted, l.err != nil && c.ctx.Err() != nil:
		outcome = "abandoned" // that says nothing about menu
	case l.err != nil:
		outcome = "failed"
		c.failed = c.now()
	case l.epoch != c.epoch:
		outcome = "overtaken"
		c.servesMenu(ctx)
	default:
		c.held, c.heldEpoch, c.checked = l.catalog, l.epoch, l.began
		c.servesMenu(ctx)
	}
	c.metrics.loads.WithLabelValues(outcome).Inc()
}

// away is what a member sees when menu gives no prices and none may serve
// instead.
func away(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "the menu does not answer; try again").Retry(retryAfter)
}
