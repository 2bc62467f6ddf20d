// Package snapshot keeps the whole catalog in memory, so that reading the menu
// needs no database, and still never shows a catalog that is known to be old.
//
// A Keeper stands between menu.Service and the store. What it holds is served
// as long as three things are true: somebody listens to the database's channel
// catalog_updated, nothing has been announced there since, and the maximum age
// is not reached, which bounds whatever goes wrong unnoticed. Where only an
// announcement could have been missed, one cheap query per request compares the
// catalog's mark; where the catalog has changed, it is loaded, once for all who
// wait.
//
// Each announcement begins an epoch, as does a write of this replica and a new
// listening connection. A load belongs to the epoch it began in and is kept only
// if that is still the one: one that began before an announcement may have read
// what was before. So a writer's own next read has the write.
//
// Without its database the service goes on showing the menu, up to a maximum
// staleness, to those who only look (Recent): a menu that is some minutes old
// serves a customer better than none. Prices of an order are of now, or there
// are none (Catalog). A catalog that is known to be outdated is not shown to
// anyone.
package snapshot

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/notify"
	"example.com/pizza/services/menu/internal/menu"
)

// Channel is where the database announces each committed change, with the new
// version as text.
const Channel = "catalog_updated"

// Config bounds the age of what is served from memory.
type Config struct {
	MaxAge   time.Duration `env:"SNAPSHOT_MAX_AGE" envDefault:"1m" doc:"Longest trust in the menu in memory without asking the database, should an announced change ever be missed; changes are announced at once"`
	MaxStale time.Duration `env:"SNAPSHOT_MAX_STALE" envDefault:"10m" doc:"How long the menu is still shown, but not quoted from, while the database does not answer; 0 is not at all"`
}

// Validate reports times that make no sense.
func (c Config) Validate() error {
	switch {
	case c.MaxAge <= 0:
		return fmt.Errorf("SNAPSHOT_MAX_AGE must be more than 0")
	case c.MaxStale < 0:
		return fmt.Errorf("SNAPSHOT_MAX_STALE must not be negative")
	default:
		return nil
	}
}

// Source is where the catalog really is.
type Source interface {
	// Catalog returns the catalog, with its mark.
	Catalog(ctx context.Context) (*menu.Catalog, error)
	// Mark returns the mark of the catalog: the cheap question whether it changed.
	Mark(ctx context.Context) (string, error)
	menu.Writer
}

// Cache shares catalogs between replicas. It may forget and fail at any time:
// neither method returns an error, it just does not help then.
type Cache interface {
	// Get returns the catalog with this mark, or nil.
	Get(ctx context.Context, mark string) *menu.Catalog
	// Put keeps a catalog for the others.
	Put(ctx context.Context, c *menu.Catalog)
}

const (
	// retryPause is how long the database is not asked again after it has failed,
	// where there is something to show: nobody waits in vain twice a second.
	retryPause = time.Second
	// patience is how long a read that has something to show waits for a database
	// that says nothing.
	patience = time.Second
)

// Keeper is a menu.Store that reads from memory. Make it with New, and Close it.
type Keeper struct {
	source  Source
	cache   Cache // may be nil
	config  Config
	log     *slog.Logger
	metrics *metrics

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu        sync.Mutex
	held      *menu.Catalog // nil before the first load
	heldEpoch int64
	checked   time.Time // when held was last known to be the newest
	epoch     int64
	announced int64 // newest version that is known to be there
	listening bool
	loading   *load
	failed    time.Time // when the database last did not answer; zero if it did since
}

// New returns a keeper that holds nothing yet. cache may be nil. Give Handler to
// notify.Listen: until then every read asks the source.
func New(source Source, cache Cache, c Config, log *slog.Logger, m Registerer) *Keeper {
	ctx, stop := context.WithCancel(context.Background())
	k := &Keeper{source: source, cache: cache, config: c, log: log, ctx: ctx, stop: stop}
	k.metrics = newMetrics(m, k)
	return k
}

// Close ends the loads that still run.
func (k *Keeper) Close() {
	k.stop()
	k.work.Wait()
}

// Handler keeps the snapshot up to date by what is heard on Channel.
func (k *Keeper) Handler() notify.Handler {
	return notify.Handler{
		Connected: k.connected,
		Notified: func(ctx context.Context, payload string) {
			if version, err := strconv.ParseInt(payload, 10, 64); err == nil {
				k.announce(version)
				k.refresh(ctx)
			}
		},
		Lost: k.lost,
	}
}

func (k *Keeper) connected(ctx context.Context) {
	k.mu.Lock()
	k.listening = true
	k.epoch++ // what was announced before went unheard
	k.mu.Unlock()
	k.refresh(ctx)
}

func (k *Keeper) lost(err error) {
	k.mu.Lock()
	was := k.listening
	k.listening = false
	k.mu.Unlock()
	if was {
		k.log.Warn("changes of the catalog are not heard any more; each read asks the database", "error", err)
	}
}

// announce says that there is a version, so that what is older ends.
func (k *Keeper) announce(version int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if version > k.announced {
		k.announced = version
		k.epoch++
	}
}

// refresh loads ahead of the next request, if what is held is out of date.
func (k *Keeper) refresh(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.held == nil || k.heldEpoch != k.epoch {
		k.join(ctx)
	}
}

// Catalog returns the catalog as it is now. It returns Unavailable.
func (k *Keeper) Catalog(ctx context.Context) (*menu.Catalog, error) { return k.catalog(ctx, true) }

// Committed is Catalog, and does not rely on having been told of a change: it has
// all that was committed before the call. It returns Unavailable.
func (k *Keeper) Committed(ctx context.Context) (*menu.Catalog, error) { return k.catalog(ctx, false) }

func (k *Keeper) catalog(ctx context.Context, trust bool) (*menu.Catalog, error) {
	k.mu.Lock()
	held, epoch := k.held, k.epoch
	current := held != nil && k.heldEpoch == epoch
	trusted := trust && k.listening && time.Since(k.checked) < k.config.MaxAge
	k.mu.Unlock()
	if current && trusted {
		return held, nil
	}
	asked := time.Now()
	if current {
		mark, err := k.source.Mark(ctx)
		if err != nil {
			return nil, k.fails(ctx, err)
		}
		if mark == held.Mark {
			k.confirm(held, epoch, asked)
			return held, nil
		}
	}
	return k.load(ctx, asked, trust)
}

// Recent is Catalog, or while the database does not answer, a catalog that was
// the newest not longer than the maximum staleness ago. It returns Unavailable.
func (k *Keeper) Recent(ctx context.Context) (*menu.Catalog, error) {
	if c := k.stale(true); c != nil {
		return c, nil
	}
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := k.Catalog(asking)
	silent := asking.Err() != nil
	switch {
	case err == nil || ctx.Err() != nil || !silent && fault.CodeOf(err) != fault.Unavailable:
		return c, err
	case silent:
		err = k.fails(ctx, err)
	}
	if c := k.stale(false); c != nil {
		return c, nil
	}
	if silent {
		return k.Catalog(ctx) // there is nothing else: worth the whole wait
	}
	return nil, err
}

// stale returns what may be shown without the database, or nil. justFailed asks
// for it only where the database has failed a moment ago.
func (k *Keeper) stale(justFailed bool) *menu.Catalog {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case justFailed && (k.failed.IsZero() || time.Since(k.failed) >= retryPause),
		k.held == nil,
		k.held.Version < k.announced,
		time.Since(k.checked) >= k.config.MaxStale:
		return nil
	}
	k.metrics.stale.Inc()
	return k.held
}

// confirm notes that held was still the newest when it was asked.
func (k *Keeper) confirm(held *menu.Catalog, epoch int64, asked time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.answers()
	if k.held == held && k.epoch == epoch {
		k.checked = asked
	}
}
