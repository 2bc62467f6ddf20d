// Package idempotency forgets the answers that are kept under idempotency keys
// when their time is over.
//
// Every replica runs a Cleaner; the Store lets one at a time delete. Old rows go
// in small batches, each a transaction of its own, so that no round holds locks
// for long or is lost when it is cut off. An answer past its time that no round
// has met yet is still given: to place a second order would be worse.
package idempotency

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config is how long answers are kept.
type Config struct {
	TTL   time.Duration `env:"IDEMPOTENCY_TTL" envDefault:"24h" rule:"positive" doc:"How long at least an order that was sent with an Idempotency-Key can be sent again without being placed again; longer than any client goes on trying"`
	Every time.Duration `env:"IDEMPOTENCY_CLEAN_EVERY" envDefault:"5m" rule:"positive" doc:"Pause between two rounds of deleting keys past that time; short, so that each round is small"`
}

// Validate reports a time that the database does not keep to.
func (c Config) Validate() error {
	if c.TTL < time.Hour { // the database keeps all answers for an hour
		return errors.New("IDEMPOTENCY_TTL must be at least 1h")
	}
	return nil
}

// batch is how many answers one statement deletes: a few milliseconds.
const batch = 1000

// Store holds the answers.
type Store interface {
	// Forget deletes up to atMost answers that are older than ttl, and returns
	// how many; 0 also while another replica is at it.
	Forget(ctx context.Context, ttl time.Duration, atMost int) (int, error)
}

// Cleaner deletes old answers.
type Cleaner struct {
	store    Store
	config   Config
	log      *slog.Logger
	pruned   prometheus.Counter
	failures prometheus.Counter
	failing  bool // since the last round
}

// New returns a cleaner whose numbers are in registry.
func New(s Store, c Config, log *slog.Logger, registry prometheus.Registerer) *Cleaner {
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

// Run deletes old answers round by round until ctx ends. A round that fails is
// left to the next one.
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

// Clean is one round: it goes on until nothing old is left, or another replica
// has taken over.
func (c *Cleaner) Clean(ctx context.Context) {
	total := 0
	for {
		n, err := c.store.Forget(ctx, c.config.TTL, batch)
		total += n
		c.pruned.Add(float64(n))
		if err == nil && n == batch {
			continue
		}
		c.report(ctx, total, err)
		return
	}
}

// report logs what a round did; a failure only when it is news.
func (c *Cleaner) report(ctx context.Context, total int, err error) {
	switch {
	case ctx.Err() != nil: // the service stops
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
