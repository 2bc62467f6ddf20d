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
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	pkgredis "example.com/pizza/pkg/redis"
	"example.com/pizza/services/menu/internal/menu"
)

const (
	// prefix has the number of the format: a release that writes another one
	// counts it up, and the two do not see each other's entries.
	prefix = "pizza:menu:catalog:1:"
	// lifetime is how long a replica that starts may profit. No entry is ever
	// wrong, so it only bounds the memory of versions that are over.
	lifetime = time.Hour
)

// Cache is a snapshot.Cache. Make it with New, and Close it.
type Cache struct {
	client *redis.Client
	log    *slog.Logger
	down   atomic.Bool
	errors *prometheus.CounterVec
}

// New returns a cache; Redis need not be there.
func New(c pkgredis.Config, log *slog.Logger, registry prometheus.Registerer) (*Cache, error) {
	client, err := pkgredis.Open(c)
	if err != nil {
		return nil, err
	}
	cache := &Cache{client: client, log: log, errors: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "menu_cache_errors_total",
		Help: "Failures of the shared cache by operation: get, put, or decode of what it had.",
	}, []string{"operation"})}
	for _, operation := range []string{"get", "put", "decode"} {
		cache.errors.WithLabelValues(operation) // so that the first one is an increase
	}
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
