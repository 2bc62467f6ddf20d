// Package admission bounds how much of one kind of work a process takes on.
//
// A request enters a Gate, works, and leaves. At most Concurrency are in work.
// At most Queue more wait, first come first served, none longer than Wait or
// than its own deadline, and a caller that goes away gives its place up at once.
// Everyone beyond that is refused immediately with fault.Unavailable and a time
// to try again: a refusal waits for nothing, so it is as fast on the worst day as
// on any other.
//
// # Why a bounded queue in the process
//
// The other way to take a spike is accept-then-queue: write the order down in a
// durable queue, answer 202, and place it later. It was not chosen:
//
//   - The customer wants the total and the order id now. Prices, pizzas and
//     branches are checked while the order is placed, so a 202 would promise what
//     may have to be taken back, and clients would have to ask for the outcome.
//   - A durable queue has to be written to as well, on the same disks: it moves
//     the spike, and adds a part that can fail between "accepted" and "placed".
//   - Whoever waits here has been promised nothing. A 201 is only ever said of an
//     order that is committed, so a process may die with its queue full and lose
//     no order. With an Idempotency-Key the client simply sends again, which
//     makes the client the durable queue.
//
// The queue is short on purpose: it evens out bursts of less than Wait. A long
// one would fill in any real overload, and then every order would be late
// instead of some being refused (and, by the time of its turn, given up by its
// customer: work for nobody).
//
// # At ten times the load
//
// More replicas come first; the bound is per process, so they add up, and the
// database's connections are the sum to watch. When one primary cannot keep the
// orders that are let in, this stays in front and what is behind it changes:
// orders are written in batches, several per commit, or split over databases
// by branch. Only when customers outnumber what can be placed within their
// patience, for minutes, does accept-then-queue earn its 202: orders then go to a
// partitioned log (the NATS JetStream of package events would do), are placed
// from there by workers as fast as the database takes them, and clients follow
// a status address. The keys, the outbox and the statement stay as they are.
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
	Concurrency int           // most in work, at least 1
	Queue       int           // most that wait; 0 lets nobody wait
	Wait        time.Duration // longest wait
}

// ErrBusy is in the chain of every error of Enter.
var ErrBusy = errors.New("no room for more work")

// Gate lets a bounded number in.
type Gate struct {
	limits  Limits
	room    *semaphore.Weighted // those in work; it serves in the order of arrival
	places  *semaphore.Weighted // in the queue; never waited for
	busy    atomic.Bool         // the last change that was logged
	log     *slog.Logger
	metrics metrics
}

// New returns a gate whose metrics are named name_admission_… in registry.
func New(name string, l Limits, log *slog.Logger, registry prometheus.Registerer) *Gate {
	return &Gate{
		limits: l, room: semaphore.NewWeighted(int64(l.Concurrency)), places: semaphore.NewWeighted(int64(l.Queue)),
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
		g.log.InfoContext(ctx, "nobody has to wait any more")
	}
	g.metrics.admitted.Inc()
	g.metrics.wait.Observe(time.Since(came).Seconds())
	g.metrics.inWork.Inc()
	return func() {
		g.metrics.inWork.Dec()
		g.room.Release(1)
	}, nil
}

// queue waits for room.
func (g *Gate) queue(ctx context.Context) error {
	if !g.places.TryAcquire(1) {
		return g.refuse(ctx, full, errors.New("the queue is full"))
	}
	g.metrics.queued.Inc()
	defer func() {
		g.metrics.queued.Dec()
		g.places.Release(1)
	}()
	patience, cancel := context.WithTimeout(ctx, g.limits.Wait)
	defer cancel()
	err := g.room.Acquire(patience, 1)
	switch {
	case err == nil:
		return nil
	case ctx.Err() == nil:
		return g.refuse(ctx, waited, errors.New("waited as long as anyone may"))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return g.refuse(ctx, deadline, ctx.Err())
	default:
		return g.refuse(ctx, gone, ctx.Err())
	}
}

// refuse counts, and logs that refusing begins: the single refusals of a spike
// would be most of the log.
func (g *Gate) refuse(ctx context.Context, why reason, cause error) error {
	g.metrics.rejected[why].Inc()
	if why != gone && g.busy.CompareAndSwap(false, true) {
		g.log.WarnContext(ctx, "more comes in than can be done: some is refused", "reason", string(why))
	}
	return fault.Wrap(errors.Join(ErrBusy, cause), fault.Unavailable, "too many requests at this moment; try again").Retry(g.retryAfter())
}

// retryAfter is when the present queue is over, one way or the other, and up to
// twice that later: those who are refused together do not come back together.
func (g *Gate) retryAfter() time.Duration {
	after := max(g.limits.Wait, time.Second)
	return after + rand.N(2*after) //nolint:gosec // spread, not a secret
}
