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
	// prefix has the number of the format, as that of every entry in Redis.
	prefix = "pizza:limit:1:"
	// maxKeys bounds the memory of one limit: about 15 MB.
	maxKeys = 1 << 16
	// retryEvery is how often a Redis that does not answer is tried: one request
	// in that time may have to wait for its time-out, and all others do not.
	retryEvery = time.Second
)

// Counters is where the limits of a process count. Make it with Open, and Close
// it.
type Counters struct {
	client  *redis.Client // nil: this process counts alone
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
	n := &Counters{timeout: c.Timeout, now: now, log: log, audit: audit.New(log), metrics: newMetrics(registry)}
	if c.URL == "" {
		return n, nil
	}
	client, err := pkgredis.Open(c)
	if err != nil {
		return nil, err
	}
	n.client = client
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

// limiter counts under names that begin with name.
func (n *Counters) limiter(name string, r Rate) Limiter {
	memory := NewMemory(r, maxKeys, n.now)
	if n.client == nil {
		return memory
	}
	return &together{n, NewRedis(n.client, prefix+name+":", r), memory}
}

// together counts in Redis, and in memory while that does not answer. It returns
// no error.
type together struct {
	*Counters
	shared Limiter
	memory Limiter
}

// Allow implements Limiter.
func (l *together) Allow(ctx context.Context, key string) (Decision, error) {
	if !l.ask() {
		return l.memory.Allow(ctx, key)
	}
	patience, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	d, err := l.shared.Allow(patience, key)
	if err == nil {
		l.answers(ctx)
		return d, nil
	}
	if ctx.Err() == nil { // else it is the caller who went away
		l.fails(ctx, err)
	}
	return l.memory.Allow(ctx, key)
}

// ask tells whether to ask Redis: while it does not answer, only now and then.
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
