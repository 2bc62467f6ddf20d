package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// ReplicaConfig is where the read replica of the database is.
type ReplicaConfig struct {
	Host string `env:"DB_READ_HOST" doc:"Host of a read replica (streaming replication), in the form of DB_HOST, from which members read their orders as long as it has all of them; of several, the first standby is used. The other DB_ settings apply to it too. Empty reads from DB_HOST alone"`
}

// Validate returns an error if DB_READ_HOST has a wrong host.
func (c ReplicaConfig) Validate() error {
	if err := pgurl.CheckHosts(c.Host); err != nil && c.Host != "" {
		return fmt.Errorf("DB_READ_HOST: %w", err)
	}
	return nil
}

const (
	// replicaTimeout bounds a read from the replica, which then goes to the primary.
	replicaTimeout = 250 * time.Millisecond
	// replicaRetry is how often a replica that has failed is tried. One read in that
	// time may have to wait for the timeout.
	replicaRetry = time.Second
)

// Replicated is a Store that reads orders from a read replica, provided that the
// answer is the one that the primary would have given to the same request:
//
//   - The primary checks the token.
//   - In the same round trip, it names the orders of a list, from an index. The
//     replica's list counts only if it has these orders and no others. Less would not
//     prove it: created_at is the clock of a process, and orders are not committed in
//     its order, so a replica with the newest order, or with as many orders, can lack
//     another one that was acknowledged.
//   - An order is written with its lines in one transaction, by the old system too,
//     and never changes. So it is complete where it is found. If the replica does not
//     find it, the primary is asked.
//
// So no answer lacks an order that was acknowledged before the request, or that an
// earlier answer had, however far behind the replica is. Positions in the WAL would
// not do: while anybody orders, a replica is nearly always a little behind, but here
// only the member's own orders matter. They would also accept a server that a failover
// has left on another timeline. Later pages, which are rare, come from the primary. A
// replica that fails costs time, and no answer.
type Replicated struct {
	*Store  // on the primary
	replica *Store
	log     *slog.Logger
	now     func() time.Time
	reads   *prometheus.CounterVec
	retry   atomic.Int64 // when a replica that failed is tried again, in nanoseconds since 1970; else 0
}

// NewReplicated returns a store that reads from the replica behind a pool. Its
// metrics are in registry; now is the clock.
func NewReplicated(
	primary *Store, replica *pgxpool.Pool, log *slog.Logger, registry prometheus.Registerer, now func() time.Time,
) *Replicated {
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "order_replica_reads_total",
		Help: "Reads of orders with DB_READ_HOST, by outcome: served (by the read replica), or read from the primary " +
			"because the replica was behind, failed, or was skipped for a second after a failure.",
	}, []string{"outcome"})
	for _, outcome := range []string{"served", "behind", "failed", "skipped"} {
		reads.WithLabelValues(outcome) // so that the first one is an increase
	}
	registry.MustRegister(reads)
	return &Replicated{Store: primary, replica: NewStore(replica, func() {}), log: log, now: now, reads: reads}
}

// List implements order.Store. It returns order.ErrRevoked and Unavailable.
func (r *Replicated) List(
	ctx context.Context, c order.Caller, after *order.Position, orders, lines int,
) (page []order.Order, more bool, err error) {
	if after != nil || !r.asks() {
		return r.Store.List(ctx, c, after, orders, lines)
	}
	// As the replica's page does, one more order than requested shows whether there are more.
	most := int32(orders) + 1 //nolint:gosec // the bound of a page
	ids, err := r.as(c).ListOrderIDs(ctx, db.ListOrderIDsParams{MemberID: c.MemberID, MaxOrders: most})
	if err != nil {
		return nil, false, postgres.Fault(err)
	}
	if r.served(ctx, func(ctx context.Context) (bool, error) {
		page, more, err = r.replica.List(ctx, c, nil, orders, lines)
		return isPageOf(ids, page, more), err
	}) {
		return page, more, nil
	}
	return r.Store.List(ctx, c, nil, orders, lines)
}

// isPageOf reports whether page has the first orders of ids, and more says whether
// there are others.
func isPageOf(ids []string, page []order.Order, more bool) bool {
	return len(page) <= len(ids) && more == (len(page) < len(ids)) &&
		slices.EqualFunc(page, ids[:len(page)], func(o order.Order, id string) bool { return o.ID == id })
}

// Get implements order.Store. It returns NotFound, order.ErrRevoked and Unavailable.
func (r *Replicated) Get(ctx context.Context, c order.Caller, orderID string) (o order.Order, err error) {
	if !r.asks() {
		return r.Store.Get(ctx, c, orderID)
	}
	if err := r.Check(ctx, c); err != nil {
		return order.Order{}, err
	}
	if r.served(ctx, func(ctx context.Context) (bool, error) {
		o, err = r.replica.Get(ctx, c, orderID)
		return true, err
	}) {
		return o, nil
	}
	return r.Store.Get(ctx, c, orderID)
}

// asks reports whether to ask the replica: after a failure, only now and then.
func (r *Replicated) asks() bool {
	at, now := r.retry.Load(), r.now()
	if at == 0 || now.UnixNano() >= at && r.retry.CompareAndSwap(at, now.Add(replicaRetry).UnixNano()) {
		return true
	}
	r.reads.WithLabelValues("skipped").Inc()
	return false
}

// served reads from the replica, and reports whether the answer counts.
func (r *Replicated) served(ctx context.Context, read func(context.Context) (counts bool, err error)) bool {
	patience, cancel := context.WithTimeout(ctx, replicaTimeout)
	defer cancel()
	counts, err := read(patience)
	outcome := "behind"
	switch code := fault.CodeOf(err); {
	case err == nil && counts:
		outcome = "served"
	case err == nil, code == fault.NotFound, code == fault.Unauthenticated: // it lacks an order
	case ctx.Err() != nil: // the caller went away
		return false
	default:
		r.reads.WithLabelValues("failed").Inc()
		if r.retry.Swap(r.now().Add(replicaRetry).UnixNano()) == 0 {
			r.log.WarnContext(ctx, "orders are read from the primary: the read replica does not answer", "error", err)
		}
		return false
	}
	r.reads.WithLabelValues(outcome).Inc()
	if r.retry.Load() != 0 && r.retry.Swap(0) != 0 {
		r.log.InfoContext(ctx, "orders are read from the read replica again")
	}
	return outcome == "served"
}
