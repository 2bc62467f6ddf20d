package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/notify"
)

// OutboxSchema is the table that a Relay reads, under any name, for the
// migrations of the service that publishes. Its writer also calls
// pg_notify(channel, ”) in the same transaction.
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
`

// RelayConfig is how a Relay paces itself.
type RelayConfig struct {
	Batch          int           `env:"OUTBOX_BATCH" envDefault:"32" doc:"Most events that are published in one transaction: few, because a transaction that is cut off publishes all of its events again"`
	Poll           time.Duration `env:"OUTBOX_POLL" envDefault:"2s" doc:"Longest wait between looks at the outbox; a notification wakes the relay at once, and this is for when one is lost"`
	PublishTimeout time.Duration `env:"OUTBOX_PUBLISH_TIMEOUT" envDefault:"5s" doc:"Longest time to publish one batch; what is not published by then is left for the next one"`
	MaxAttempts    int           `env:"OUTBOX_MAX_ATTEMPTS" envDefault:"10" doc:"Refusals of one event by the transport after which it is parked: about four minutes, enough for a bad deployment to be taken back"`
	RetryBase      time.Duration `env:"OUTBOX_RETRY_BASE" envDefault:"500ms" doc:"Wait after the first failure of an event; each further one waits twice as long"`
	RetryMax       time.Duration `env:"OUTBOX_RETRY_MAX" envDefault:"1m" doc:"Longest wait between attempts"`
	Retention      time.Duration `env:"OUTBOX_RETENTION" envDefault:"168h" doc:"Time that sent events are kept, to look at them or send them again by hand"`
}

// Validate reports every value that a Relay cannot work with.
func (c RelayConfig) Validate() error {
	var bad []error
	if c.Batch < 1 {
		bad = append(bad, errors.New("OUTBOX_BATCH must be at least 1"))
	}
	if c.MaxAttempts < 1 {
		bad = append(bad, errors.New("OUTBOX_MAX_ATTEMPTS must be at least 1"))
	}
	for name, d := range map[string]time.Duration{
		"OUTBOX_POLL": c.Poll, "OUTBOX_PUBLISH_TIMEOUT": c.PublishTimeout, "OUTBOX_RETRY_BASE": c.RetryBase,
		"OUTBOX_RETRY_MAX": c.RetryMax, "OUTBOX_RETENTION": c.Retention,
	} {
		if d <= 0 {
			bad = append(bad, errors.New(name+" must be longer than 0s"))
		}
	}
	return errors.Join(bad...)
}

// Outbox names a table of OutboxSchema and says what its rows have in common.
type Outbox struct {
	Table   string
	Channel string // that the writers notify
	Source  string // of the events, see Event
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
	claim     string
	table     string
	wake      chan struct{}
}

// NewRelay returns a relay that works when it is run.
func NewRelay(pool *pgxpool.Pool, o Outbox, to Transport, c RelayConfig, log *slog.Logger, registry prometheus.Registerer) *Relay {
	table := pgx.Identifier(strings.Split(o.Table, ".")).Sanitize()
	return &Relay{
		pool: pool, outbox: o, transport: to, config: c, table: table,
		backoff: Backoff{c.RetryBase, c.RetryMax},
		log:     log.With("outbox", o.Table),
		metrics: newRelayMetrics(registry),
		wake:    make(chan struct{}, 1),
		claim: `
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
	}
}

// Run relays until ctx ends, and then returns when the batch in work is marked.
func (r *Relay) Run(ctx context.Context) {
	var all errgroup.Group
	all.Go(func() error {
		awake := func(context.Context) { r.awake() }
		notify.Listen(ctx, r.pool, r.outbox.Channel, notify.Handler{
			Connected: awake,
			Notified:  func(ctx context.Context, _ string) { awake(ctx) },
			Lost:      func(err error) { r.log.WarnContext(ctx, "outbox notifications lost; polling", "error", err) },
		})
		return nil
	})
	all.Go(func() error { r.relay(ctx); return nil })
	all.Go(func() error { r.watch(ctx); return nil })
	_ = all.Wait() // none of them fails
}

func (r *Relay) awake() {
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
	rows, err := tx.Query(ctx, r.claim, r.config.Batch)
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
			marks.Queue("UPDATE "+r.table+" SET sent_at = clock_timestamp(), attempts = $2, last_error = NULL WHERE id = $1", e.ID, attempts)
			outcomes = append(outcomes, published)
		case fault.CodeOf(err) == fault.Unavailable || ctx.Err() != nil:
			// Its attempts are not counted, or an outage would park what waits. The
			// longer it has waited, the longer it steps aside, because it may be
			// this event that the transport never answers.
			marks.Queue("UPDATE "+r.table+" SET next_attempt_at = clock_timestamp() + $2::interval, last_error = $3 WHERE id = $1",
				e.ID, jitter(min(max(time.Since(e.Time), r.config.RetryBase), r.config.RetryMax)), err.Error())
			return marks, append(outcomes, failed), fmt.Errorf("transport is away: %w", err)
		case attempts >= r.config.MaxAttempts:
			log.ErrorContext(ctx, "event parked", "error", err)
			marks.Queue("UPDATE "+r.table+" SET parked_at = clock_timestamp(), attempts = $2, last_error = $3 WHERE id = $1",
				e.ID, attempts, err.Error())
			outcomes = append(outcomes, parked)
		default:
			log.WarnContext(ctx, "event refused", "error", err)
			marks.Queue("UPDATE "+r.table+" SET next_attempt_at = clock_timestamp() + $3::interval, attempts = $2, last_error = $4 WHERE id = $1",
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

// pruneBatch bounds one statement that deletes sent rows.
const pruneBatch = 1000

// watch measures the outbox and deletes what was sent long ago.
func (r *Relay) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if err := errors.Join(r.measure(ctx), r.prune(ctx)); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "outbox not measured or pruned", "error", err)
		}
		Pause(ctx, r.config.Poll, nil)
	}
}

func (r *Relay) measure(ctx context.Context) error {
	var depth, parkedRows int64
	var lag float64
	err := r.pool.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE parked_at IS NULL), count(*) FILTER (WHERE parked_at IS NOT NULL),
		       coalesce(extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE parked_at IS NULL)), 0)::float8
		FROM `+r.table+` WHERE sent_at IS NULL`).Scan(&depth, &parkedRows, &lag)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	r.metrics.depth.Set(float64(depth))
	r.metrics.parked.Set(float64(parkedRows))
	r.metrics.lag.Set(max(lag, 0))
	return nil
}

func (r *Relay) prune(ctx context.Context) error {
	for {
		tag, err := r.pool.Exec(ctx, "DELETE FROM "+r.table+" WHERE id IN (SELECT id FROM "+r.table+
			" WHERE sent_at < now() - $1::interval LIMIT $2 FOR UPDATE SKIP LOCKED)", r.config.Retention, pruneBatch)
		if err != nil {
			return fmt.Errorf("prune: %w", err)
		}
		if tag.RowsAffected() < pruneBatch {
			return nil
		}
	}
}
