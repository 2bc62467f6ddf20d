package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
)

// OutboxSchema is the table that a Relay reads, and the function by which it
// deletes what was sent, under any name, for the migrations of the service that
// publishes. There, the function belongs to another role and keeps what is young.
const OutboxSchema = `
CREATE TABLE outbox (
    id              uuid        PRIMARY KEY,             -- the event's id
    seq             bigint      GENERATED ALWAYS AS IDENTITY,
    type            text        NOT NULL,
    subject         text        NOT NULL,
    data            jsonb       NOT NULL,
    traceparent     text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    attempts        int         NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    last_error      text,
    sent_at         timestamptz,
    parked_at       timestamptz
);
CREATE INDEX outbox_waiting ON outbox (subject, seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_oldest ON outbox (seq) WHERE sent_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX outbox_parked ON outbox (parked_at) WHERE parked_at IS NOT NULL;
CREATE FUNCTION prune_outbox(older_than interval, at_most integer) RETURNS bigint LANGUAGE sql AS $$
    WITH deleted AS (
        DELETE FROM outbox WHERE id IN (
            SELECT id FROM outbox WHERE sent_at < now() - older_than LIMIT at_most FOR UPDATE SKIP LOCKED)
        RETURNING 1)
    SELECT count(*) FROM deleted
$$;
`

// RelayConfig paces a Relay. Services use RelayDefaults; tests are in more of a
// hurry.
type RelayConfig struct {
	Batch          int           // events that are published in one transaction
	Poll           time.Duration // pause between looks at an outbox in which nothing waits
	Measure        time.Duration // pause between two measurements
	PublishTimeout time.Duration // longest time to publish one batch
	MaxAttempts    int           // refusals of one event by the transport before it is parked
	RetryBase      time.Duration // pause after the first failure of an event; doubles with each further one
	RetryMax       time.Duration // longest pause between attempts on an event
	Retention      time.Duration // time that sent events are kept
}

// RelayDefaults returns the pace of a relay.
//
//   - Batch is small, because a transaction that breaks off publishes all of its
//     events again.
//   - Poll finds what no call of Wake announces: rows of a process that died, of
//     the old system, and of people. A second is soon enough for those, and costs
//     one indexed read per second and replica.
//   - Measure is several times per scrape.
//   - Ten attempts take about four minutes, enough to take back a bad deployment.
func RelayDefaults() RelayConfig {
	return RelayConfig{
		Batch: 32, Poll: time.Second, Measure: 5 * time.Second, PublishTimeout: 5 * time.Second,
		MaxAttempts: 10, RetryBase: 500 * time.Millisecond, RetryMax: time.Minute, Retention: 7 * 24 * time.Hour,
	}
}

// Outbox names a table of OutboxSchema and says what its rows have in common. The
// function that deletes from it is called prune_ and the table.
type Outbox struct {
	Table  string
	Source string // of the events, see Event
}

// Relay moves the committed rows of an outbox to a transport. Any number of
// them work on one table at the same time.
//
// A batch is one transaction: the rows are locked, which makes other relays
// pass them by, published, and marked. If it breaks off in between, the rows
// are free again and are published once more with the same id.
//
// Order. Only the oldest waiting row of a subject is taken, and it counts as
// waiting while it is locked or backs off, so that a later event of the subject
// never overtakes an earlier one. A parked row no longer counts: one event that
// no transport takes must not silence its subject for ever. Whoever sets
// parked_at back to NULL sends it late.
//
// Parking. Only refusals park an event. While the transport is away
// (fault.Unavailable) rows wait as long as it takes, because then they are all
// alike and none of them is to blame.
type Relay struct {
	pool      *pgxpool.Pool
	outbox    Outbox
	transport Transport
	config    RelayConfig
	backoff   Backoff
	log       *slog.Logger
	metrics   relayMetrics
	sql       Statements
	wake      chan struct{}
}

// NewRelay returns a relay that works when it is run.
func NewRelay(pool *pgxpool.Pool, o Outbox, to Transport, c RelayConfig, log *slog.Logger, registry prometheus.Registerer) *Relay {
	return &Relay{
		pool: pool, outbox: o, transport: to, config: c,
		backoff: Backoff{c.RetryBase, c.RetryMax},
		log:     log.With("outbox", o.Table),
		metrics: newRelayMetrics(registry),
		sql:     o.Statements(),
		wake:    make(chan struct{}, 1),
	}
}

// Statements are what a Relay sends by itself, over and over: for tests of their
// plans.
type Statements struct {
	Claim   string // $1: at most so many rows
	Measure string
	Prune   string // $1: retention, $2: at most so many rows
	table   string
}

// measured bounds what is counted: an outage may leave millions of rows.
const measured = 10_000

// Statements returns the statements for the outbox.
func (o Outbox) Statements() Statements {
	table := pgx.Identifier{o.Table}.Sanitize()
	return Statements{
		table: table,
		Claim: `
			SELECT o.id::text, o.type, o.subject, o.data, coalesce(o.traceparent, ''), o.created_at, o.attempts
			FROM ` + table + ` o
			WHERE o.sent_at IS NULL AND o.parked_at IS NULL AND o.next_attempt_at <= clock_timestamp()
			  AND NOT EXISTS (
			      SELECT FROM ` + table + ` earlier
			      WHERE earlier.subject = o.subject AND o.subject <> '' AND earlier.seq < o.seq
			        AND earlier.sent_at IS NULL AND earlier.parked_at IS NULL)
			ORDER BY o.seq
			LIMIT $1
			FOR UPDATE OF o SKIP LOCKED`,
		Measure: fmt.Sprintf(`
			SELECT (SELECT count(*) FROM (SELECT FROM %[1]s WHERE sent_at IS NULL AND parked_at IS NULL ORDER BY seq LIMIT %[2]d) w),
			       (SELECT count(*) FROM (SELECT FROM %[1]s WHERE parked_at IS NOT NULL ORDER BY parked_at LIMIT %[2]d) p),
			       coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at) FROM %[1]s
			                 WHERE sent_at IS NULL AND parked_at IS NULL ORDER BY seq LIMIT 1), 0)::float8`, table, measured),
		Prune: "SELECT " + pgx.Identifier{"prune_" + o.Table}.Sanitize() + "($1, $2)",
	}
}

// Run relays until ctx ends, and then returns when the batch in work is marked.
func (r *Relay) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { r.relay(ctx) })
	all.Go(func() { r.measure(ctx) })
	all.Go(func() { r.prune(ctx) })
	all.Wait()
}

// Wake has the relay look at the outbox now. Whoever has committed a row calls
// it; what nobody announces is found by polling. It never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// relay works through the outbox, and sleeps when there is nothing to do.
func (r *Relay) relay(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		taken, err := r.batch(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			failures++
			r.log.WarnContext(ctx, "outbox batch failed", "error", err, "failures", failures)
			Pause(ctx, r.backoff.Delay(failures), nil)
		case taken == 0:
			failures = 0
			Pause(ctx, r.config.Poll, r.wake)
		default:
			failures = 0
		}
	}
}

// row is one waiting event.
type row struct {
	Event
	attempts int
}

// batch publishes what is due, at most Batch rows, and returns how many rows it
// has dealt with. The error is the database's or, when the transport is away,
// the transport's; what was published is marked also then.
func (r *Relay) batch(ctx context.Context) (taken int, err error) {
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	// What has been published is to be marked even while the process stops.
	marking := context.WithoutCancel(ctx)
	defer func() {
		closing, cancel := context.WithTimeout(marking, r.config.PublishTimeout)
		defer cancel()
		_ = tx.Rollback(closing) // nothing to do after a commit
	}()
	rows, err := r.claimed(ctx, tx)
	if err != nil {
		return 0, err
	}
	marks, outcomes, away := r.publish(ctx, rows)
	if len(outcomes) == 0 {
		return 0, away
	}
	marking, cancel := context.WithTimeout(marking, r.config.PublishTimeout)
	defer cancel()
	if err := tx.SendBatch(marking, marks).Close(); err != nil {
		return 0, fmt.Errorf("mark what was published: %w", err)
	}
	if err := tx.Commit(marking); err != nil {
		return 0, fmt.Errorf("commit what was published: %w", err)
	}
	for _, o := range outcomes {
		r.metrics.events.WithLabelValues(o).Inc()
	}
	return len(outcomes), away
}

func (r *Relay) claimed(ctx context.Context, tx pgx.Tx) ([]row, error) {
	rows, err := tx.Query(ctx, r.sql.Claim, r.config.Batch)
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	claimed, err := pgx.CollectRows(rows, func(from pgx.CollectableRow) (row, error) {
		e := row{Event: Event{Source: r.outbox.Source}}
		err := from.Scan(&e.ID, &e.Type, &e.Subject, (*[]byte)(&e.Data), &e.TraceParent, &e.Time, &e.attempts)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return claimed, nil
}

// publish sends rows one after the other and returns what is to be written
// about them, with one outcome for each row that it came to.
func (r *Relay) publish(ctx context.Context, rows []row) (marks *pgx.Batch, outcomes []string, away error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.PublishTimeout)
	defer cancel()
	marks = &pgx.Batch{}
	for _, e := range rows {
		if ctx.Err() != nil {
			break // the rest stays as it is
		}
		err := r.send(ctx, e.Event)
		attempts := e.attempts + 1
		log := r.log.With("event_id", e.ID, "type", e.Type, "subject", e.Subject, "attempts", attempts)
		switch {
		case err == nil:
			marks.Queue("UPDATE "+r.sql.table+" SET sent_at = clock_timestamp(), attempts = $2, last_error = NULL WHERE id = $1", e.ID, attempts)
			outcomes = append(outcomes, published)
		case fault.CodeOf(err) == fault.Unavailable || ctx.Err() != nil:
			// Its attempts are not counted, or an outage would park what waits. The
			// longer it has waited, the longer it steps aside, because it may be
			// this event that the transport never answers.
			marks.Queue("UPDATE "+r.sql.table+" SET next_attempt_at = clock_timestamp() + $2::interval, last_error = $3 WHERE id = $1",
				e.ID, jitter(min(max(time.Since(e.Time), r.config.RetryBase), r.config.RetryMax)), err.Error())
			return marks, append(outcomes, failed), fmt.Errorf("transport is away: %w", err)
		case attempts >= r.config.MaxAttempts:
			log.ErrorContext(ctx, "event parked", "error", err)
			marks.Queue("UPDATE "+r.sql.table+" SET parked_at = clock_timestamp(), attempts = $2, last_error = $3 WHERE id = $1",
				e.ID, attempts, err.Error())
			outcomes = append(outcomes, parked)
		default:
			log.WarnContext(ctx, "event refused", "error", err)
			marks.Queue("UPDATE "+r.sql.table+" SET next_attempt_at = clock_timestamp() + $3::interval, attempts = $2, last_error = $4 WHERE id = $1",
				e.ID, attempts, r.backoff.Delay(attempts), err.Error())
			outcomes = append(outcomes, failed)
		}
	}
	return marks, outcomes, nil
}

// send publishes one event; a row that is no event is refused like one that the
// transport does not take.
func (r *Relay) send(ctx context.Context, e Event) error {
	if !json.Valid(e.Data) {
		return errors.New("data is not JSON")
	}
	if err := e.Validate(); err != nil {
		return err
	}
	return r.transport.Publish(ctx, e)
}

// measure keeps the gauges up to date.
func (r *Relay) measure(ctx context.Context) {
	for ctx.Err() == nil {
		var depth, parkedRows int64
		var lag float64
		err := r.pool.QueryRow(ctx, r.sql.Measure).Scan(&depth, &parkedRows, &lag)
		switch {
		case err == nil:
			r.metrics.depth.Set(float64(depth))
			r.metrics.parked.Set(float64(parkedRows))
			r.metrics.lag.Set(max(lag, 0))
		case ctx.Err() == nil:
			r.log.WarnContext(ctx, "outbox not measured", "error", err)
		}
		Pause(ctx, r.config.Measure, nil)
	}
}

// pruneBatch bounds one statement that deletes sent rows.
const pruneBatch = 1000

// prune deletes what was sent long ago.
func (r *Relay) prune(ctx context.Context) {
	for ctx.Err() == nil {
		var pruned int
		err := r.pool.QueryRow(ctx, r.sql.Prune, r.config.Retention, pruneBatch).Scan(&pruned)
		if err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "outbox not pruned", "error", err)
		}
		if err != nil || pruned < pruneBatch {
			Pause(ctx, time.Minute, nil)
		}
	}
}
