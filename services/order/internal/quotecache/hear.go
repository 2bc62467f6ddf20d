package quotecache

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/notify"
)

// Channel is where the database announces each committed change of the catalog,
// with the new version as text.
const Channel = "catalog_updated"

// Listen keeps the cache up to date by what the database says, until ctx ends.
func (c *Cache) Listen(ctx context.Context, pool *pgxpool.Pool) {
	if c.config.MaxAge > 0 {
		notify.Listen(ctx, pool, Channel, c.Handler())
	}
}

// Handler keeps the cache up to date by what is heard on Channel.
func (c *Cache) Handler() notify.Handler {
	return notify.Handler{Connected: c.connected, Notified: c.notified, Lost: c.lost}
}

func (c *Cache) connected(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listening = true
	c.epoch++ // what was announced before went unheard
	c.announced = 0
	c.refresh(ctx)
	c.log.InfoContext(ctx, "changes of menu are heard; orders are priced from memory")
}

func (c *Cache) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listening {
		c.listening = false
		c.log.Warn("changes of menu are not heard any more; menu is asked for each order", "error", err)
	}
}

func (c *Cache) notified(ctx context.Context, payload string) {
	version, err := strconv.ParseInt(payload, 10, 64)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if version <= c.announced {
			return
		}
		c.announced, c.heard = version, c.now()
		if c.held != nil && c.heldEpoch == c.epoch && c.held.Version >= version {
			return // menu has told it before the database did
		}
		c.held = nil // known to be outdated: for nobody
	}
	c.epoch++
	c.refresh(ctx)
}

// refresh loads ahead of the next order. The caller has the lock.
func (c *Cache) refresh(ctx context.Context) { c.join(ctx).wanted = true }
