package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
)

// OutboxSchema is the table that a Relay reads, for the migrations of the publisher. A row
// goes when its event is published. Builds from before set sent_at instead; the function
// deletes their rows. In the migrations it belongs to another role and keeps young rows.
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

// RelayConfig is the pace of a Relay. Services use RelayDefaults; tests are faster.
type RelayConfig struct {
	Batch          int           // events per transaction
	Linger         time.Duration // pause after a transaction that was not full
	Poll           time.Duration // pause between reads of an empty outbox
	Measure        time.Duration // pause between two measurements
	PublishTimeout time.Duration // maximum time of one call of the transport
	MaxAttempts    int           // delivery attempts before an event is parked as a dead letter
	RetryBase      time.Duration // pause after the first failure of an event; doubles each time
	RetryMax       time.Duration // maximum pause between attempts on an event
	Retention      time.Duration // of events that a build from before has sent
}

// RelayDefaults returns the pace of a relay.
//
//   - Batch is bounded, because an interrupted transaction publishes all of its events
//     again.
//   - Linger shares the costs of a transaction between the events of that time. People
//     do not notice it.
//   - Poll finds rows that no call of Wake announces: those of a process that died, of
//     the old system, and of people. A second is soon enough for them, and costs one
//     indexed read per second and replica.
//   - Measure is several times per scrape.
//   - Ten attempts take about four minutes, enough to roll back a bad deployment.
func RelayDefaults() RelayConfig {
	return RelayConfig{
		Batch: 32, Linger: 50 * time.Millisecond, Poll: time.Second, Measure: 5 * time.Second, PublishTimeout: 5 * time.Second,
		MaxAttempts: 10, RetryBase: 500 * time.Millisecond, RetryMax: time.Minute, Retention: 7 * 24 * time.Hour,
	}
}

// Outbox is a table of OutboxSchema. Its function is named prune_ and the table.
type Outbox struct {
	Table  string
	Source string // of the events, see Event
}

// Relay moves committed rows of an outbox to a transport. Any number of relays can work
// on one table.
//
// A batch is one transaction: its rows are locked, so that other relays skip them, then
// published, and deleted. After an interruption the rows are unlocked, and published
// again with the same id.
//
// Order. A relay takes only the oldest waiting row of a subject. A row counts as waiting
// while it is locked or backs off, so a later event never overtakes an earlier one. A
// parked row no longer counts: one event that the transport rejects must not block its
// subject forever. Setting parked_at back to NULL sends it late.
//
// Parking. Only rejections park an event. While the transport is away
// (fault.Unavailable), rows wait as long as it takes, because none of them is the
// cause.
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

// NewRelay returns a relay. It works while Run runs.
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

// Statements are the periodic statements of a Relay, for tests of their plans.
type Statements struct {
	Claim   string // $1: maximum rows
	Measure string
	Prune   string // $1: retention, $2: maximum rows
	table   string
}

// searched is the number of the oldest waiting rows among which a batch is found.
// Without the bound, a batch would read all rows that an outage left, whenever they
// have fewer subjects than the batch has rows. More refused events than this hold back
// the later ones until they are parked.
const searched = 1000

// measured bounds the count of rows: an outage may leave millions. An alert on a higher
// number would never fire.
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
			  AND o.id = ANY (ARRAY(
			      SELECT id FROM (
			          SELECT id, seq, subject, next_attempt_at, row_number() OVER (PARTITION BY subject ORDER BY seq) AS place
			          FROM (SELECT id, seq, subject, next_attempt_at FROM ` + table + `
			                WHERE sent_at IS NULL AND parked_at IS NULL
			                ORDER BY seq LIMIT ` + strconv.Itoa(searched) + `) oldest) numbered
			      WHERE (place = 1 OR subject = '') AND next_attempt_at <= clock_timestamp()
			      ORDER BY seq LIMIT 8 * $1)) -- more relays than 8 only wait
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

// Run relays until ctx ends, and returns after it has recorded the current batch.
func (r *Relay) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { r.relay(ctx) })
	all.Go(func() { r.measure(ctx) })
	all.Go(func() { r.prune(ctx) })
	all.Wait()
}

// Wake makes the relay read the outbox now, for callers that have committed a row.
// Polling finds all other rows. Wake never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // the relay is about to read anyway
	}
}

// relay publishes waiting rows, and sleeps while there are none.
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
			if taken < r.config.Batch {
				Pause(ctx, r.config.Linger, nil)
			}
		}
	}
}

// row is one waiting event.
type row struct {
	Event
	attempts int
}

// batch publishes up to Batch due rows, and returns the number of handled rows. The error
// is that of the database or, if the transport is away, of the transport; published rows
// are deleted in both cases.
func (r *Relay) batch(ctx context.Context) (taken int, err error) {
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	// Results are recorded even while the process stops.
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
		return 0, fmt.Errorf("record what was published: %w", err)
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

// publish sends rows, and returns the results to write, with one outcome for each
// attempted row. It sends all at once, and after an error one after the other, to find
// the row that the error is about.
func (r *Relay) publish(ctx context.Context, rows []row) (marks *pgx.Batch, outcomes []string, away error) {
	marks = &pgx.Batch{}
	if len(rows) > 1 && r.send(ctx, rows...) == nil {
		ids := make([]string, len(rows))
		for i, e := range rows {
			ids[i] = e.ID
		}
		marks.Queue("DELETE FROM "+r.sql.table+" WHERE id = ANY ($1::uuid[])", ids)
		return marks, slices.Repeat([]string{published}, len(rows)), nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.PublishTimeout)
	defer cancel()
	for _, e := range rows {
		if ctx.Err() != nil {
			break // the other rows stay unchanged
		}
		err := r.send(ctx, e)
		attempts := e.attempts + 1
		log := r.log.With("event_id", e.ID, "type", e.Type, "subject", e.Subject, "attempts", attempts)
		switch {
		case err == nil:
			marks.Queue("DELETE FROM "+r.sql.table+" WHERE id = $1", e.ID)
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

// send publishes events. A row that is not an event counts as rejected.
func (r *Relay) send(ctx context.Context, rows ...row) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.PublishTimeout)
	defer cancel()
	all := make([]Event, len(rows))
	for i, e := range rows {
		if !json.Valid(e.Data) {
			return errors.New("data is not JSON")
		}
		if err := e.Validate(); err != nil {
			return err
		}
		all[i] = e.Event
	}
	return r.transport.Publish(ctx, all...)
}

// measure updates the gauges.
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

// pruneBatch bounds the rows that one statement deletes.
const pruneBatch = 1000

// prune deletes the rows of builds from before.
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
