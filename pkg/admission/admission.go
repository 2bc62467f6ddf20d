// Package admission bounds how much of one kind of work a process takes on.
//
// A request enters a Gate, works, and leaves. At most Concurrency requests work at a
// time. At most Queue more wait in order of arrival, no longer than Wait or their own
// deadline; a client that goes away frees its place at once. All others are rejected
// immediately with fault.Unavailable and a Retry-After. A rejection waits for
// nothing, so it is as fast under the worst load as under any other.
//
// # Why a bounded queue in the process
//
// The alternative is accept-then-queue: store the order in a durable queue, answer
// 202, and place it later. It was not chosen:
//
//   - The customer wants the total and the order id now. Prices, pizzas and
//     branches are checked while the order is placed, so a 202 would be a promise
//     that may be broken, and clients would have to poll for the outcome.
//   - A durable queue has to be written as well, on the same disks: it moves the
//     spike, and adds a part that can fail between "accepted" and "placed".
//   - A waiting request has been promised nothing. Only a committed order is
//     answered with 201, so a process can die with a full queue and lose no order.
//     With an Idempotency-Key the client repeats the request, which makes the client
//     the durable queue.
//
// The queue is deliberately short: it evens out bursts of less than Wait. A long
// queue would fill up in any real overload, and then every order would be late
// instead of some being rejected. By the time of its turn, its customer would have
// given up.
//
// # At ten times the load
//
// More replicas come first. The bound is per process, so bounds add up, and the
// database's connections are the sum to watch. If one primary cannot store the
// admitted orders, the gate stays and the part behind it changes: orders are written
// in batches, several per commit, or split over databases by branch. Accept-then-queue
// earns its 202 only when, for minutes, more orders arrive than can be placed within
// the patience of customers. Orders then go to a partitioned log (the NATS JetStream of
// package events would do), workers place them as fast as the database allows, and
// clients follow a status address. The keys, the outbox and the statement stay.
package admission

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"example.com/pizza/pkg/fault"
)

// Limits are the bounds of a Gate.
type Limits struct {
	Concurrency int           // maximum requests that work at a time, at least 1
	Queue       int           // maximum requests that wait; 0 is no queue
	Wait        time.Duration // maximum wait
}

// ErrBusy is in the chain of every error of Enter.
var ErrBusy = errors.New("the admission gate is full")

// Gate admits a bounded number of requests at a time.
type Gate struct {
	limits  Limits
	room    *semaphore.Weighted // of requests that work; serves in order of arrival
	waiting atomic.Int64        // requests in the queue
	busy    atomic.Bool         // as last logged
	log     *slog.Logger
	metrics metrics
}

// New returns a gate whose metrics are named name_admission_… in registry.
func New(name string, l Limits, log *slog.Logger, registry prometheus.Registerer) *Gate {
	return &Gate{
		limits: l, room: semaphore.NewWeighted(int64(l.Concurrency)),
		log: log.With("gate", name), metrics: newMetrics(name, registry),
	}
}

// Enter lets the caller in, after a wait where there has to be one; leave must
// be called when the work is done. Otherwise nothing is held, and the error is
// fault.Unavailable around ErrBusy and the reason.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	came := time.Now()
	if !g.room.TryAcquire(1) { // never ahead of those who wait
		if err := g.queue(ctx); err != nil {
			return nil, err
		}
	} else if g.busy.CompareAndSwap(true, false) {
		g.log.InfoContext(ctx, "admission queue drained")
	}
	g.metrics.admitted.Inc()
	g.metrics.wait.Observe(time.Since(came).Seconds())
	g.metrics.inWork.Inc()
	return func() {
		g.metrics.inWork.Dec()
		g.room.Release(1)
	}, nil
}

// Full returns the error of Enter while the queue is full, and nil otherwise. A request can be
// rejected by it before any work is done for it. Without a queue it returns nil.
func (g *Gate) Full(ctx context.Context) error {
	if g.limits.Queue > 0 && g.waiting.Load() >= int64(g.limits.Queue) {
		return g.refuse(ctx, full, errFull)
	}
	return nil
}

var errFull = errors.New("the queue is full")

// queue waits for a place among the requests that work.
func (g *Gate) queue(ctx context.Context) error {
	if g.waiting.Add(1) > int64(g.limits.Queue) {
		g.waiting.Add(-1)
		return g.refuse(ctx, full, errFull)
	}
	g.metrics.queued.Inc()
	defer func() {
		g.metrics.queued.Dec()
		g.waiting.Add(-1)
	}()
	patience, cancel := context.WithTimeout(ctx, g.limits.Wait)
	defer cancel()
	err := g.room.Acquire(patience, 1)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil:
		return g.refuse(ctx, waited, errors.New("waited for the maximum time"))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return g.refuse(ctx, deadline, ctx.Err())
	default:
		return g.refuse(ctx, gone, ctx.Err())
	}
}

// refuse counts a rejection, and logs only the first one of a spike: single
// rejections would be most of the log.
func (g *Gate) refuse(ctx context.Context, why reason, cause error) error {
	g.metrics.rejected[why].Inc()
	if why != gone && g.busy.CompareAndSwap(false, true) {
		g.log.WarnContext(ctx, "admission queue full; rejecting requests", "reason", string(why))
	}
	return fault.Wrap(errors.Join(ErrBusy, cause), fault.Unavailable, "too many requests at this moment; try again").Retry(g.retryAfter())
}

// retryAfter returns a time by which the current queue has drained, with jitter, so
// that clients that are rejected together do not come back together.
func (g *Gate) retryAfter() time.Duration {
	after := max(g.limits.Wait, time.Second)
	return after + rand.N(2*after) //nolint:gosec // spread, not a secret
}
