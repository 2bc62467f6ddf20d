// Package redis shares catalogs between the replicas of the menu service, so that only one
// of them reads a new version from the database.
//
// A catalog is stored under its mark, which identifies one state of one database and is
// never reused: an entry can be missing, but not outdated. Redis is not trusted with
// prices. An entry starts with an HMAC of the rest, mark included, with a key in a row of
// the database that only menu can read. An entry that is forged, damaged, or of another
// catalog or environment counts as missing.
//
// Redis can be slow or away at any time. Each call has a short timeout, the caller then
// reads from the database, and the log says once when that begins and once when it ends.
package redis

import (
	"context"
	"crypto/hmac"
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
	// prefix has the version of the format: releases with different formats do not see
	// each other's entries.
	prefix = "pizza:menu:catalog:2:"
	// lifetime bounds the memory of old versions. Entries are never wrong.
	lifetime = time.Hour
)

// Cache is a snapshot.Cache. Create it with New, and Close it.
type Cache struct {
	client *redis.Client
	log    *slog.Logger
	down   atomic.Bool
	errors *prometheus.CounterVec
}

// New returns a cache. Redis need not be up.
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
		cache.errors.WithLabelValues(operation) // from the start, so that the first one is an increase
	}
	registry.MustRegister(cache.errors)
	return cache, nil
}

// Close closes the connections.
func (c *Cache) Close() error { return c.client.Close() }

// Get returns the catalog with this mark, or nil.
func (c *Cache) Get(ctx context.Context, mark menu.Mark) *menu.Catalog {
	ctx, cancel := context.WithTimeout(ctx, c.client.Options().ReadTimeout)
	defer cancel()
	entry, err := c.client.Get(ctx, prefix+mark.ID).Bytes()
	if errors.Is(err, redis.Nil) {
		c.note(ctx, "get", nil)
		return nil
	}
	c.note(ctx, "get", err)
	if err != nil {
		return nil
	}
	catalog, err := decode(entry, mark)
	if err != nil {
		c.errors.WithLabelValues("decode").Inc()
		c.log.WarnContext(ctx, "cache entry rejected; reading from the database", "error", err)
		return nil
	}
	return catalog
}

// Put stores a catalog for other replicas.
func (c *Cache) Put(ctx context.Context, catalog *menu.Catalog) {
	ctx, cancel := context.WithTimeout(ctx, c.client.Options().WriteTimeout)
	defer cancel()
	entry, err := encode(catalog)
	if err == nil {
		err = c.client.Set(ctx, prefix+catalog.Mark.ID, entry, lifetime).Err()
	}
	c.note(ctx, "put", err)
}

// note counts a failure, and logs when failures begin and end.
func (c *Cache) note(ctx context.Context, operation string, err error) {
	if err != nil {
		c.errors.WithLabelValues(operation).Inc()
	}
	switch was := c.down.Swap(err != nil); {
	case err != nil && !was:
		c.log.WarnContext(ctx, "cache unavailable; reading from the database", "operation", operation, "error", err)
	case err == nil && was:
		c.log.InfoContext(ctx, "cache available again")
	}
}

// stored is the JSON of a catalog.
type stored struct {
	Version int64
	Mark    string
	Types   []menu.Type
	Pizzas  []menu.Pizza
}

func encode(c *menu.Catalog) ([]byte, error) {
	body, err := json.Marshal(stored{c.Version, c.Mark.ID, c.Types, c.Pizzas})
	if err != nil {
		return nil, err
	}
	return append(sign(body, c.Mark.Key), body...), nil
}

func sign(body, key []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(body)
	return h.Sum(nil)
}

// minKey is the minimum length of a key, in bytes. A shorter one could be guessed.
const minKey = 16

// decode returns the catalog with a mark from the output of encode.
func decode(entry []byte, mark menu.Mark) (*menu.Catalog, error) {
	switch {
	case len(mark.Key) < minKey:
		return nil, errors.New("the key in the database is too short")
	case len(entry) < sha256.Size:
		return nil, fmt.Errorf("%d bytes are too few", len(entry))
	}
	signature, body := entry[:sha256.Size], entry[sha256.Size:]
	if !hmac.Equal(signature, sign(body, mark.Key)) {
		return nil, errors.New("not signed with the key in the database")
	}
	var s stored
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, err
	}
	if s.Mark != mark.ID {
		return nil, fmt.Errorf("signed for the catalog %s, not %s", s.Mark, mark.ID)
	}
	c := menu.NewCatalog(s.Version, s.Types, s.Pizzas)
	c.Mark = mark
	return c, nil
}
