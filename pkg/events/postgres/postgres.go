// Package postgres carries events in PostgreSQL itself, so that a plain install
// needs nothing but its database.
//
// Publishing an event writes it once and, in the same transaction, one delivery
// for each consumer that wants its type. A consumer locks the oldest delivery
// of a subject, handles the event, and deletes the delivery. So nothing depends
// on numbers becoming visible in the order in which they were given out: a
// transaction that commits late brings its deliveries with it, and they are
// found like all others. The lock dies with the connection of whoever holds it,
// and the next instance takes over at once.
//
// A consumer that nobody subscribes as any more goes on collecting deliveries.
// To end it, delete its row in event_consumer.
//
// The tables are in Schema. A role that only publishes needs
//
//	GRANT SELECT, INSERT, UPDATE, DELETE ON event
//	GRANT SELECT ON event_consumer
//	GRANT SELECT, INSERT ON event_delivery
//
// and one that consumes SELECT, INSERT, UPDATE, DELETE ON event, event_consumer
// and event_delivery.
package postgres

import (
	"context"
	_ "embed" // for Schema
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/notify"
	"example.com/pizza/pkg/postgres"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// channel is what a publisher notifies when it has committed.
const channel = "event"

// registering keeps publishing and the registration of consumers apart, as the
// key of an advisory lock: shared for the one, exclusive for the other. Without
// it an event could be published for the consumers that were, while a new
// consumer is given the events that were.
const registering = 0x6576656e7473 // "events"

// Transport is events in the tables of Schema.
type Transport struct {
	pool    *pgxpool.Pool
	config  events.Config
	backoff events.Backoff
	log     *slog.Logger
	metrics *events.ConsumerMetrics
}

var _ events.Transport = (*Transport)(nil)

// New returns a transport that holds one connection of the pool per
// subscription while it handles an event, and one more of its own to listen.
func New(pool *pgxpool.Pool, c events.Config, log *slog.Logger, m *events.ConsumerMetrics) *Transport {
	return &Transport{pool, c, events.Backoff{Base: c.RetryBase, Max: c.RetryMax}, log, m}
}

// Publish keeps the event for all consumers that want it. The same id again
// does nothing for as long as events are kept.
func (t *Transport) Publish(ctx context.Context, e events.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "not an event")
	}
	err = pgx.BeginFunc(ctx, t.pool, func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue("SELECT pg_advisory_xact_lock_shared($1)", registering)
		// A statement of its own, because it must see what the lock waited for.
		b.Queue(`-- name: PublishEvent :exec
			WITH new AS (
			    INSERT INTO event (id, type, subject, body) VALUES ($1, $2, $3, $4)
			    ON CONFLICT (id) DO NOTHING
			    RETURNING seq, type, subject)
			INSERT INTO event_delivery (consumer, seq, subject)
			SELECT c.name, new.seq, new.subject FROM new JOIN event_consumer c ON new.type = ANY (c.types)`,
			e.ID, e.Type, e.Subject, string(body))
		b.Queue("SELECT pg_notify($1, '')", channel)
		return tx.SendBatch(ctx, &b).Close()
	})
	if err != nil {
		return postgres.Fault(fmt.Errorf("publish event: %w", err))
	}
	return nil
}

// Subscribe works as events.Transport says.
func (t *Transport) Subscribe(ctx context.Context, consumer string, types []string, handle events.Handler) error {
	if err := events.Subscription(consumer, types); err != nil {
		return err
	}
	t.metrics.Start(consumer)
	s := subscription{
		Transport: t, consumer: consumer, handle: handle,
		log: t.log.With("consumer", consumer), wake: make(chan struct{}, 1),
	}
	s.persist(ctx, "consumer not registered", func() error { return s.register(ctx, types) })
	var all errgroup.Group
	all.Go(func() error {
		notify.Listen(ctx, t.pool, channel, notify.Handler{
			Connected: func(context.Context) { s.awake() },
			Notified:  func(context.Context, string) { s.awake() },
			Lost:      func(err error) { s.log.WarnContext(ctx, "event notifications lost; polling", "error", err) },
		})
		return nil
	})
	all.Go(func() error { s.consume(ctx); return nil })
	return all.Wait()
}

// subscription is one instance of a consumer.
type subscription struct {
	*Transport
	consumer string
	handle   events.Handler
	log      *slog.Logger
	wake     chan struct{}
}

func (s *subscription) awake() {
	select {
	case s.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// persist repeats what fails until it works or ctx ends.
func (s *subscription) persist(ctx context.Context, failure string, do func() error) {
	for failures := 1; ctx.Err() == nil; failures++ {
		err := do()
		if err == nil || ctx.Err() != nil {
			return
		}
		s.log.WarnContext(ctx, "events: trying again", "failure", failure, "error", err, "failures", failures)
		events.Pause(ctx, s.backoff.Delay(failures), nil)
	}
}

// register makes the consumer known, and gives it the kept events of all types
// that are new to it.
func (s *subscription) register(ctx context.Context, types []string) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue("SELECT pg_advisory_xact_lock($1)", registering)
		b.Queue("INSERT INTO event_consumer (name, types) VALUES ($1, '{}') ON CONFLICT DO NOTHING", s.consumer)
		b.Queue(`
			INSERT INTO event_delivery (consumer, seq, subject)
			SELECT c.name, e.seq, e.subject FROM event e JOIN event_consumer c ON c.name = $1
			WHERE e.type = ANY ($2) AND e.type <> ALL (c.types)
			ON CONFLICT DO NOTHING`, s.consumer, types)
		b.Queue("UPDATE event_consumer SET types = $2 WHERE name = $1", s.consumer, types)
		return tx.SendBatch(ctx, &b).Close()
	})
}

// consume handles events one after the other, and sleeps when there is none.
func (s *subscription) consume(ctx context.Context) {
	for ctx.Err() == nil {
		var none bool
		s.persist(ctx, "events not consumed", func() error {
			var err error
			none, err = s.next(ctx)
			return err
		})
		if none {
			events.Pause(ctx, s.config.Poll, s.wake)
		}
	}
}

// claim takes the oldest due event whose subject waits for no other. A delivery
// that is locked or backs off is still there, so that none overtakes it.
const claim = `
	SELECT d.seq, d.attempts, e.body::text
	FROM event_delivery d JOIN event e USING (seq)
	WHERE d.consumer = $1 AND d.parked_at IS NULL AND d.next_attempt_at <= clock_timestamp()
	  AND NOT EXISTS (
	      SELECT FROM event_delivery earlier
	      WHERE earlier.consumer = d.consumer AND earlier.subject = d.subject AND d.subject <> ''
	        AND earlier.seq < d.seq AND earlier.parked_at IS NULL)
	ORDER BY d.seq
	LIMIT 1
	FOR UPDATE OF d SKIP LOCKED`

// next handles one event, and reports if there was none. The error is the
// database's.
func (s *subscription) next(ctx context.Context) (none bool, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	// What has taken effect is to be marked even while the process stops.
	marking, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.HandlerTimeout+markTime)
	defer cancel()
	defer func() { _ = tx.Rollback(marking) }() // nothing to do after a commit

	var seq int64
	var attempts int
	var body string
	err = tx.QueryRow(ctx, claim, s.consumer).Scan(&seq, &attempts, &body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("claim: %w", err)
	}
	failure := s.run(ctx, body)
	if failure != nil && ctx.Err() != nil {
		return false, nil // stopped, not failed: the next instance has it at once
	}
	count, err := s.mark(marking, tx, seq, attempts+1, failure)
	if err != nil {
		return false, fmt.Errorf("mark: %w", err)
	}
	if err := tx.Commit(marking); err != nil {
		return false, fmt.Errorf("commit: %w", err)
	}
	count(s.consumer)
	return false, nil
}

// markTime bounds the writing down of an event's outcome.
const markTime = 5 * time.Second

// run calls the handler within its time.
func (s *subscription) run(ctx context.Context, body string) error {
	var e events.Event
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.HandlerTimeout)
	defer cancel()
	return s.handle(ctx, e)
}

// mark writes down what became of a delivery, and returns how to count it.
func (s *subscription) mark(
	ctx context.Context, tx pgx.Tx, seq int64, attempts int, failure error,
) (count func(consumer string), err error) {
	log := s.log.With("seq", seq, "attempts", attempts, "error", failure)
	switch {
	case failure == nil:
		_, err = tx.Exec(ctx, "DELETE FROM event_delivery WHERE consumer = $1 AND seq = $2", s.consumer, seq)
		return s.metrics.Handled, err
	case attempts >= s.config.MaxAttempts:
		log.ErrorContext(ctx, "event set aside")
		_, err = tx.Exec(ctx, `UPDATE event_delivery SET parked_at = clock_timestamp(), attempts = $3, last_error = $4
			WHERE consumer = $1 AND seq = $2`, s.consumer, seq, attempts, failure.Error())
		return s.metrics.Parked, err
	default:
		log.WarnContext(ctx, "event not handled")
		_, err = tx.Exec(ctx, `UPDATE event_delivery SET next_attempt_at = clock_timestamp() + $5::interval, attempts = $3, last_error = $4
			WHERE consumer = $1 AND seq = $2`, s.consumer, seq, attempts, failure.Error(), s.backoff.Delay(attempts))
		return s.metrics.Failed, err
	}
}

// pruneBatch bounds one statement that deletes old events.
const pruneBatch = 1000

// Prune deletes old events that nobody waits for any more, until ctx ends. Who
// publishes runs it, because there may be no consumer. Events that are set aside
// stay.
func (t *Transport) Prune(ctx context.Context) {
	for ctx.Err() == nil {
		tag, err := t.pool.Exec(ctx, `
			DELETE FROM event WHERE seq IN (
			    SELECT seq FROM event e
			    WHERE published_at < now() - $1::interval AND NOT EXISTS (SELECT FROM event_delivery d WHERE d.seq = e.seq)
			    LIMIT $2 FOR UPDATE SKIP LOCKED)`, t.config.Retention, pruneBatch)
		if err != nil && ctx.Err() == nil {
			t.log.WarnContext(ctx, "events not pruned", "error", err)
		}
		if err != nil || tag.RowsAffected() < pruneBatch {
			events.Pause(ctx, min(time.Minute, t.config.Retention), nil)
		}
	}
}
