// Package redis shares catalogs between the replicas of the menu service, so
// that of many only one has to read a new version from the database.
//
// A catalog is stored under its mark, which names one state of one database and
// is never used again: an entry can be missing, but not out of date. It begins
// with a hash of the rest, so that a damaged entry is like none. Redis may be
// slow or gone at any time; each call gives up soon, the caller reads from the
// database, and the log says once when that begins and once when it ends.
package redis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"example.com/pizza/services/menu/internal/menu"
)

// Config is where the cache is.
type Config struct {
	URL     string        `env:"CACHE_URL" doc:"Redis that replicas share the menu through: redis://[user:password@]host:port/db, or rediss:// for TLS; empty is none"`
	Timeout time.Duration `env:"CACHE_TIMEOUT" envDefault:"250ms" doc:"Longest wait for Redis before the database is read instead: short, since that is always there to be read"`
}

// Validate reports an address that is none, without telling it: it may have a
// password.
func (c Config) Validate() error {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || (u.Scheme != "redis" && u.Scheme != "rediss") || u.Hostname() == "" {
			return errors.New("CACHE_URL must be redis://host:port/db or rediss://host:port/db, or empty")
		}
		if _, err := redis.ParseURL(c.URL); err != nil {
			return errors.New("CACHE_URL is not understood: its port, database number or options are wrong")
		}
	}
	if c.Timeout <= 0 {
		return errors.New("CACHE_TIMEOUT must be more than 0")
	}
	return nil
}

const (
	// prefix has the number of the format: a release that writes another one
	// counts it up, and the two do not see each other's entries.
	prefix = "pizza:menu:catalog:1:"
	// lifetime is how long a replica that starts may profit. No entry is ever
	// wrong, so it only bounds the memory of versions that are over.
	lifetime = time.Hour
)

// The client would write its own lines to stderr, one per attempt; Cache logs
// what matters, once.
func init() { logging.Disable() }

// Cache is a snapshot.Cache. Make it with New, and Close it.
type Cache struct {
	client *redis.Client
	log    *slog.Logger
	down   atomic.Bool
	errors *prometheus.CounterVec
}

// New returns a cache; Redis need not be there.
func New(c Config, log *slog.Logger, registry prometheus.Registerer) (*Cache, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, errors.New("CACHE_URL is not understood")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.Timeout, c.Timeout, c.Timeout, c.Timeout
	o.MaxRetries, o.DialerRetries = -1, 1 // the database is there: rather that than another wait
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ContextTimeoutEnabled = true
	cache := &Cache{client: redis.NewClient(o), log: log, errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "menu_cache_errors_total",
		Help: "Failures of the shared cache by operation: get, put, or decode of what it had.",
	}, []string{"operation"})}
	registry.MustRegister(cache.errors)
	return cache, nil
}

// Close gives the connections back.
func (c *Cache) Close() error { return c.client.Close() }

// Get returns the catalog with this mark, or nil.
func (c *Cache) Get(ctx context.Context, mark string) *menu.Catalog {
	ctx, cancel := context.WithTimeout(ctx, c.client.Options().ReadTimeout)
	defer cancel()
	entry, err := c.client.Get(ctx, prefix+mark).Bytes()
	if errors.Is(err, redis.Nil) {
		c.note(ctx, "get", nil)
		return nil
	}
	c.note(ctx, "get", err)
	if err != nil {
		return nil
	}
	catalog, err := decode(entry)
	if err == nil && catalog.Mark != mark {
		err = errors.New("it is another catalog")
	}
	if err != nil {
		c.errors.WithLabelValues("decode").Inc()
		c.log.WarnContext(ctx, "the cache has an entry that is no catalog; the database is read instead", "error", err)
		return nil
	}
	return catalog
}

// Put keeps a catalog for the others.
func (c *Cache) Put(ctx context.Context, catalog *menu.Catalog) {
	ctx, cancel := context.WithTimeout(ctx, c.client.Options().WriteTimeout)
	defer cancel()
	entry, err := encode(catalog)
	if err == nil {
		err = c.client.Set(ctx, prefix+catalog.Mark, entry, lifetime).Err()
	}
	c.note(ctx, "put", err)
}

// note counts a failure, and logs each change between working and not.
func (c *Cache) note(ctx context.Context, operation string, err error) {
	if err != nil {
		c.errors.WithLabelValues(operation).Inc()
	}
	switch was := c.down.Swap(err != nil); {
	case err != nil && !was:
		c.log.WarnContext(ctx, "the cache does not answer; the database is read instead", "operation", operation, "error", err)
	case err == nil && was:
		c.log.InfoContext(ctx, "the cache answers again")
	}
}

// stored is a catalog as it is written down.
type stored struct {
	Version int64
	Mark    string
	Types   []menu.Type
	Pizzas  []menu.Pizza
}

func encode(c *menu.Catalog) ([]byte, error) {
	body, err := json.Marshal(stored{c.Version, c.Mark, c.Types, c.Pizzas})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return append(sum[:], body...), nil
}

func decode(entry []byte) (*menu.Catalog, error) {
	if len(entry) < sha256.Size {
		return nil, fmt.Errorf("%d bytes are too few", len(entry))
	}
	body := entry[sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], entry[:sha256.Size]) {
		return nil, errors.New("the hash is another one")
	}
	var s stored
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, err
	}
	c := menu.NewCatalog(s.Version, s.Types, s.Pizzas)
	c.Mark = s.Mark
	return c, nil
}
