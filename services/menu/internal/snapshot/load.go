package snapshot

import (
	"context"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/menu/internal/menu"
)

// loadTime bounds a load, which no single request owns.
const loadTime = 10 * time.Second

// load is one reading of the catalog, for all who wait for it.
type load struct {
	epoch   int64
	began   time.Time
	done    chan struct{}
	catalog *menu.Catalog // after done, as are the next
	shared  bool          // the cache has it
	err     error
}

// load returns a catalog that was read after a moment; or with trust, in the epoch
// while someone listens, in which nothing is known to have changed since.
func (k *Keeper) load(ctx context.Context, asked time.Time, trust bool) (*menu.Catalog, error) {
	for {
		k.mu.Lock()
		l, listening := k.join(ctx), k.listening
		k.mu.Unlock()
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "the catalog is still being read; try again").Retry(retryPause)
		}
		if l.err != nil {
			return nil, l.err
		}
		if trust && listening || !l.began.Before(asked) {
			return l.catalog, nil
		}
	}
}

// join returns the load of this epoch, which it begins if there is none. The
// caller has the lock.
func (k *Keeper) join(ctx context.Context) *load {
	if k.loading != nil && k.loading.epoch == k.epoch {
		return k.loading
	}
	l := &load{epoch: k.epoch, began: time.Now(), done: make(chan struct{})}
	k.loading = l
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTime) // others may wait for it too
	forget := context.AfterFunc(k.ctx, cancel)                               //nolint:contextcheck // the load ends with the keeper, not with who asked first
	k.work.Go(func() {
		defer cancel()
		defer forget()
		l.catalog, l.shared, l.err = k.read(ctx)
		k.finish(ctx, l)
	})
	return l
}

// read reads the catalog, from the cache where another replica has put it.
func (k *Keeper) read(ctx context.Context) (c *menu.Catalog, shared bool, err error) {
	from := "failed"
	defer func() { k.metrics.loads.WithLabelValues(from).Inc() }()
	if k.cache != nil {
		mark, err := k.source.Mark(ctx)
		if err != nil {
			return nil, false, err
		}
		if c := k.cache.Get(ctx, mark); c != nil {
			from = "cache"
			return c, true, nil
		}
	}
	if c, err = k.source.Catalog(ctx); err != nil {
		return nil, false, err
	}
	from = "database"
	return c, false, nil
}

// finish keeps what was loaded, unless it may be old already, and lets go who
// waits for it.
func (k *Keeper) finish(ctx context.Context, l *load) {
	if l.err != nil {
		l.err = k.fails(context.WithoutCancel(ctx), l.err)
	}
	k.mu.Lock()
	if k.loading == l {
		k.loading = nil
	}
	if l.err == nil {
		k.answers()
	}
	if l.err == nil && l.epoch == k.epoch {
		// The database is right, also when a restored one counts from less.
		k.held, k.heldEpoch, k.checked, k.announced = l.catalog, l.epoch, l.began, l.catalog.Version
	}
	k.mu.Unlock()
	close(l.done)
	if l.err == nil && !l.shared && k.cache != nil {
		k.cache.Put(ctx, l.catalog)
	}
}

// fails notes that the database did not answer, and logs it the first time.
func (k *Keeper) fails(ctx context.Context, err error) error {
	if ctx.Err() != nil && k.ctx.Err() == nil {
		return err // who asked has gone, or has no time: that says nothing
	}
	k.mu.Lock()
	first := k.failed.IsZero()
	k.failed = time.Now()
	k.mu.Unlock()
	if first && k.ctx.Err() == nil {
		k.log.WarnContext(ctx, "the catalog cannot be read from the database", "error", err)
	}
	return err
}

// answers notes that the database answers. The caller has the lock.
func (k *Keeper) answers() {
	if !k.failed.IsZero() {
		k.failed = time.Time{}
		k.log.Info("the catalog can be read from the database again")
	}
}
