package idempotency

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// batch is the number of receipts that one statement deletes, within a few milliseconds.
const batch = 1000

// Store keeps receipts.
type Store interface {
	// DeleteReceipts deletes up to atMost receipts older than ttl and returns their
	// number. It returns 0 while another replica is deleting.
	DeleteReceipts(ctx context.Context, ttl time.Duration, atMost int) (int, error)
}

// Cleaner deletes old receipts. Every replica runs one; the Store lets one at a
// time delete. Each batch is a transaction of its own, so that a round holds no
// lock for long and keeps its progress when it is interrupted. A receipt past its
// time that no round has reached still answers: a second order would be worse.
type Cleaner struct {
	store    Store
	config   Config
	log      *slog.Logger
	pruned   prometheus.Counter
	failures prometheus.Counter
	failing  bool // since the last round
}

// NewCleaner returns a cleaner with metrics in registry.
func NewCleaner(s Store, c Config, log *slog.Logger, registry prometheus.Registerer) *Cleaner {
	c.Every = cmp.Or(c.Every, defaultEvery)
	cleaner := &Cleaner{
		store: s, config: c, log: log,
		pruned: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "order_idempotency_keys_pruned_total", Help: "Idempotency keys that this replica deleted when their time was over.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "order_idempotency_prune_failures_total", Help: "Rounds of deleting idempotency keys that failed; the next round tries again.",
		}),
	}
	registry.MustRegister(cleaner.pruned, cleaner.failures)
	return cleaner
}

// Run deletes old receipts until ctx ends. The next round retries a failed one.
func (c *Cleaner) Run(ctx context.Context) {
	round := time.NewTicker(c.config.Every)
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-round.C:
			c.Clean(ctx)
		}
	}
}

// Clean runs one round, until no old receipt is left or another replica has taken
// over.
func (c *Cleaner) Clean(ctx context.Context) {
	total := 0
	for {
		n, err := c.store.DeleteReceipts(ctx, c.config.TTL, batch)
		total += n
		c.pruned.Add(float64(n))
		if err == nil && n == batch {
			continue
		}
		c.report(ctx, total, err)
		return
	}
}

// report logs the result of a round, and a failure only after a success.
func (c *Cleaner) report(ctx context.Context, total int, err error) {
	switch {
	case ctx.Err() != nil: // the service is stopping
	case err != nil:
		c.failures.Inc()
		if !c.failing {
			c.log.WarnContext(ctx, "old idempotency keys cannot be deleted; trying again", "every", c.config.Every.String(), "error", err.Error())
		}
		c.failing = true
	case c.failing:
		c.failing = false
		c.log.InfoContext(ctx, "old idempotency keys can be deleted again", "deleted", total)
	case total > 0:
		c.log.DebugContext(ctx, "deleted old idempotency keys", "deleted", total)
	}
}
