// Package snapshot keeps the whole catalog in memory, so that reading the menu
// needs no database.
//
// A Keeper stands between menu.Service and the store. Once a second it reads the
// mark of the catalog, one row by primary key, and loads the catalog if the mark has
// changed. CurrentOrStale misses a change through another replica for about a
// second, and none through its own replica. Current reads the mark for its caller.
//
// While the database does not answer, CurrentOrStale serves the menu up to a maximum
// age: a menu that is minutes old serves a customer better than none. Orders are
// never priced from it.
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
	MaxStale time.Duration `env:"SNAPSHOT_MAX_STALE" envDefault:"10m" doc:"Maximum age of the menu that is displayed, but not quoted, while the database does not answer; 0 keeps no menu in memory"`
}

// Validate reports a negative age.
func (c Config) Validate() error {
	if c.MaxStale < 0 {
		return errors.New("SNAPSHOT_MAX_STALE must not be negative")
	}
	return nil
}

// Source is the database of the catalog.
type Source interface {
	// Catalog returns the catalog, with its mark.
	Catalog(ctx context.Context) (*menu.Catalog, error)
	// Mark returns the mark of the catalog, which is cheap and changes with it.
	Mark(ctx context.Context) (menu.Mark, error)
	menu.Writer
}

// Cache shares catalogs between replicas. It may lose entries and fail at any time;
// neither method returns an error.
type Cache interface {
	// Get returns the catalog with this mark, or nil.
	Get(ctx context.Context, mark menu.Mark) *menu.Catalog
	// Put stores a catalog for other replicas.
	Put(ctx context.Context, c *menu.Catalog)
}

const (
	// patience is the maximum wait of a reader for a database that hangs while there
	// is a stale catalog.
	patience = time.Second
	// readTimeout bounds a read of the catalog. It is longer than the default
	// statement timeout.
	readTimeout = 10 * time.Second
	// retryAfter is for callers whose own deadline came first.
	retryAfter = time.Second
)

// Keeper is a menu.Store that reads from memory. Create it with New, Run it, and
// Close it.
type Keeper struct {
	source  Source
	cache   Cache // may be nil
	latest  *latest.Value[menu.Catalog]
	metrics *metrics
	sharing sync.WaitGroup
}

// New returns a keeper without a catalog. cache may be nil.
func New(source Source, cache Cache, c Config, log *slog.Logger, m Registerer) *Keeper {
	k := &Keeper{source: source, cache: cache}
	k.latest = latest.New(k.read, latest.Config{
		Stale: c.MaxStale, Patience: patience, Timeout: readTimeout,
		Failed: func(ctx context.Context, err error) {
			log.WarnContext(ctx, "cannot read the catalog from the database", "error", err)
		},
		Recovered: func(ctx context.Context) { log.InfoContext(ctx, "reading the catalog from the database again") },
	})
	k.metrics = newMetrics(m, k.latest.State)
	return k
}

// Run keeps the snapshot up to date until ctx ends.
func (k *Keeper) Run(ctx context.Context) { k.latest.Run(ctx) }

// Close ends reads that still run.
func (k *Keeper) Close() {
	k.latest.Close()
	k.sharing.Wait()
}

// Check passes once there has been a catalog to serve. It does not fail for a
// catalog that is too old: that happens to all replicas at once, and without a ready
// replica customers would get the load balancer's error.
func (k *Keeper) Check() health.Check {
	return health.Check{Name: "catalog", Run: func(context.Context) error {
		if !k.latest.State().Loaded {
			return errors.New("no catalog has been read yet")
		}
		return nil
	}}
}

// Current implements menu.Store.
func (k *Keeper) Current(ctx context.Context) (*menu.Catalog, error) {
	c, err := k.latest.Newest(ctx)
	return c, unavailable(err)
}

// CurrentOrStale implements menu.Store.
func (k *Keeper) CurrentOrStale(ctx context.Context) (*menu.Catalog, error) {
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

// unavailable returns a fault for a caller whose own deadline came first.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Unavailable, "the catalog is still being read; try again").Retry(retryAfter)
	}
	return err
}

// read reads the catalog unless held is current, from the cache if another replica
// has stored it.
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
