package ratelimit

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"example.com/pizza/pkg/audit"
	pkgredis "example.com/pizza/pkg/redis"
)

const (
	// maxKeys bounds the memory of one limit: about 15 MB.
	maxKeys = 1 << 16
	// retryEvery is how often a Redis that does not answer is tried. One request in
	// that time may have to wait for the timeout.
	retryEvery = time.Second
)

// Counters is where the limits of a process count. Make it with Open, and Close
// it.
type Counters struct {
	client  *redis.Client
	shared  counter // nil: this process counts alone
	memory  counter
	timeout time.Duration
	now     func() time.Time
	log     *slog.Logger
	audit   *audit.Log
	metrics metrics

	down  atomic.Bool
	retry atomic.Int64 // when Redis is tried again, in nanoseconds since 1970
}

// Open returns counters in the Redis of c, which need not be there, or in memory
// if c has no address. now is the clock, time.Now outside of tests.
func Open(c pkgredis.Config, log *slog.Logger, registry prometheus.Registerer, now func() time.Time) (*Counters, error) {
	n := &Counters{
		memory: newMemory(maxKeys, now), timeout: c.Timeout, now: now, log: log, audit: audit.New(log), metrics: newMetrics(registry),
	}
	if c.URL == "" {
		return n, nil
	}
	client, err := pkgredis.Open(c)
	if err != nil {
		return nil, err
	}
	n.client, n.shared = client, shared{client}
	return n, nil
}

// Close gives the connections back.
func (n *Counters) Close() {
	if n.client == nil {
		return
	}
	if err := n.client.Close(); err != nil {
		n.log.Warn("the connections to Redis do not close", "error", err)
	}
}

// count counts in Redis, and in memory while Redis does not answer. It returns the
// counter that it used.
func (n *Counters) count(ctx context.Context, o op, uses []use) (debts []time.Duration, by counter) {
	if n.shared != nil && n.ask() {
		patience, cancel := context.WithTimeout(ctx, n.timeout)
		defer cancel()
		debts, err := n.shared.count(patience, o, uses)
		if err == nil {
			n.answers(ctx)
			return debts, n.shared
		}
		if ctx.Err() == nil { // else the caller went away
			n.fails(ctx, err)
		}
	}
	debts, _ = n.memory.count(ctx, o, uses) // returns no error
	return debts, n.memory
}

// refund gives back by the counter that was spent of. Each bucket has drained for
// elapsed, perhaps of this charge alone, so that much is not given back: the sum of
// charges and refunds never allows more than the rate.
func (n *Counters) refund(ctx context.Context, by counter, uses []use, elapsed time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	for i := range uses {
		uses[i].back = max(0, uses[i].rate.interval()-elapsed)
	}
	if _, err := by.count(ctx, refund, uses); err != nil {
		n.fails(ctx, err)
	}
}

// ask reports whether to ask Redis: while it does not answer, only now and then.
func (n *Counters) ask() bool {
	if !n.down.Load() {
		return true
	}
	now, at := n.now(), n.retry.Load()
	return now.UnixNano() >= at && n.retry.CompareAndSwap(at, now.Add(retryEvery).UnixNano())
}

func (n *Counters) fails(ctx context.Context, err error) {
	n.metrics.errors.Inc()
	n.retry.Store(n.now().Add(retryEvery).UnixNano())
	if n.down.CompareAndSwap(false, true) {
		n.metrics.fallback.Set(1)
		n.log.WarnContext(ctx, "rate limits are counted in memory, by each replica alone: Redis does not answer", "error", err)
	}
}

func (n *Counters) answers(ctx context.Context) {
	if n.down.CompareAndSwap(true, false) {
		n.metrics.fallback.Set(0)
		n.log.InfoContext(ctx, "rate limits are counted in Redis again")
	}
}
