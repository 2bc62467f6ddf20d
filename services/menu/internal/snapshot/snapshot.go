// Package snapshot keeps the whole catalog in memory, so that reading the menu
// needs no database.
//
// A Keeper stands between menu.Service and the store. Once a second it reads the
// mark of the catalog, one row by its primary key, and loads the catalog when the
// mark has changed. Readers (Recent) see a change through another replica about a
// second late, and a change through their own replica at once. Whoever needs
// every change that was committed before the call (Catalog) has the mark read for
// it.
//
// While the database does not answer, the service goes on showing the menu, up to
// a maximum staleness: a menu that is some minutes old serves a customer better
// than none. Prices of an order are of now, or there are none.
package snapshot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/latest"
	"example.com/pizza/services/menu/internal/menu"
)

// Config bounds the age of what is served from memory.
type Config struct {
	MaxStale time.Duration `env:"SNAPSHOT_MAX_STALE" envDefault:"10m" doc:"Maximum age of the menu that is shown, but not quoted from, while the database does not answer; 0 keeps no menu in memory"`
}

// Validate reports an age that makes no sense.
func (c Config) Validate() error {
	if c.MaxStale < 0 {
		return errors.New("SNAPSHOT_MAX_STALE must not be negative")
	}
	return nil
}

// Source is where the catalog really is.
type Source interface {
	// Catalog returns the catalog, with its mark.
	Catalog(ctx context.Context) (*menu.Catalog, error)
	// Mark returns the mark of the catalog: the cheap question whether it changed.
	Mark(ctx context.Context) (menu.Mark, error)
	menu.Writer
}

// Cache shares catalogs between replicas. It may forget and fail at any time:
// neither method returns an error, it just does not help then.
type Cache interface {
	// Get returns the catalog with this mark, or nil.
	Get(ctx context.Context, mark menu.Mark) *menu.Catalog
	// Put keeps a catalog for the others.
	Put(ctx context.Context, c *menu.Catalog)
}

const (
	// patience is how long a reader that can be shown something waits for a
	// database that says nothing.
	patience = time.Second
	// readTimeout bounds a read of the catalog. It is longer than the server lets a
	// statement run by default.
	readTimeout = 10 * time.Second
	// retryAfter is what a caller is told whose own time ended first.
	retryAfter = time.Second
)

// Keeper is a menu.Store that reads from memory. Make it with New, Run it, and
// Close it.
type Keeper struct {
	source  Source
	cache   Cache // may be nil
	latest  *latest.Value[menu.Catalog]
	metrics *metrics
	sharing sync.WaitGroup
}

// New returns a keeper that holds nothing yet. cache may be nil.
func New(source Source, cache Cache, c Config, log *slog.Logger, m Registerer) *Keeper {
	k := &Keeper{source: source, cache: cache}
	k.latest = latest.New(k.read, latest.Config{
		Stale: c.MaxStale, Patience: patience, Timeout: readTimeout,
		Failed: func(ctx context.Context, err error) {
			log.WarnContext(ctx, "catalog cannot be read from the database", "error", err)
		},
		Recovered: func(ctx context.Context) { log.InfoContext(ctx, "catalog can be read from the database again") },
	})
	k.metrics = newMetrics(m, k.latest.State)
	return k
}

// Run keeps the snapshot up to date until ctx ends.
func (k *Keeper) Run(ctx context.Context) { k.latest.Run(ctx) }

// Close ends what still runs.
func (k *Keeper) Close() {
	k.latest.Close()
	k.sharing.Wait()
}

// Check passes once there has been a catalog to serve. It does not fail when the
// catalog becomes too old: that happens to all replicas at once, and with none of
// them left, nobody would say so.
func (k *Keeper) Check() health.Check {
	return health.Check{Name: "catalog", Run: func(context.Context) error {
		if !k.latest.State().Loaded {
			return errors.New("no catalog has been read yet")
		}
		return nil
	}}
}

// Catalog returns a catalog with every change that was committed before the call.
// It returns Unavailable.
func (k *Keeper) Catalog(ctx context.Context) (*menu.Catalog, error) {
	c, err := k.latest.Newest(ctx)
	return c, unavailable(err)
}

// Recent returns a catalog that is about a second old at most, or while the
// database does not answer, the maximum staleness. It returns Unavailable.
func (k *Keeper) Recent(ctx context.Context) (*menu.Catalog, error) {
	c, from, err := k.latest.Get(ctx)
	switch from {
	case latest.Stale:
		k.metrics.stale.Inc()
		return c, nil
	case latest.None:
		return nil, unavailable(err)
	default:
		return c, nil
	}
}

// unavailable gives a fault to a caller whose own time ended first.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Unavailable, "the catalog is still being read; try again").Retry(retryAfter)
	}
	return err
}

// read reads the catalog if it is not held already, from the cache where another
// replica has put it.
func (k *Keeper) read(ctx context.Context, held *menu.Catalog) (c *menu.Catalog, err error) {
	source := "failed"
	defer func() {
		if err != nil || c != held {
			k.metrics.loads.WithLabelValues(source).Inc()
		}
	}()
	mark, err := k.source.Mark(ctx)
	switch {
	case err != nil:
		return nil, err
	case held != nil && held.Mark.ID == mark.ID:
		return held, nil
	}
	if k.cache != nil {
		if c := k.cache.Get(ctx, mark); c != nil {
			source = "cache"
			return c, nil
		}
	}
	if c, err = k.source.Catalog(ctx); err != nil {
		return nil, err
	}
	source = "database"
	if k.cache != nil {
		k.sharing.Go(func() { k.cache.Put(context.WithoutCancel(ctx), c) })
	}
	return c, nil
}
