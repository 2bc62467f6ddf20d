// Package postgres carries events in PostgreSQL itself, so that a plain install
// needs nothing but its database.
//
// Publishing an event writes it once and, in the same transaction, one delivery
// for each consumer that wants its type. Nothing depends on numbers becoming
// visible in the order in which they were assigned: a transaction that commits
// late brings its deliveries with it, and they are found like all others.
//
// A consumer takes the oldest delivery of a subject in two transactions. The
// first one counts the attempt and reserves the delivery for a moment. The
// second one locks it, handles the event, and deletes the delivery or writes down
// the failure. While the lock is held, no other instance takes the delivery. The
// lock dies with the connection of its holder, and the counted attempt stays, so
// that an event whose handler takes its process down is parked like every other
// event that always fails.
//
// A consumer whose name nobody subscribes under any more goes on collecting
// deliveries. To end it, delete its row in event_consumer.
//
// The tables and functions are in Schema. A role that publishes needs
//
//	GRANT EXECUTE ON FUNCTION publish_events(json[]), prune_events(interval, integer)
//
// and a row in event_publisher, which says whose a type is. A role that consumes
// gets its rights, its consumer's name and the types that it can ask for by
//
//	SELECT allow_consumer('kitchen', 'kitchen_role', '{order.created}')
//
// and sees its own deliveries and their events only.
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

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
)

// Schema makes the tables.
//
//go:embed schema.sql
var Schema string

// Transport is events in the tables of Schema.
type Transport struct {
	pool     *pgxpool.Pool
	config   events.Config
	backoff  events.Backoff
	reserved time.Duration
	log      *slog.Logger
	metrics  *events.ConsumerMetrics
}

var _ events.Transport = (*Transport)(nil)

// New returns a transport that holds one connection of the pool per
// subscription while it handles an event.
func New(pool *pgxpool.Pool, c events.Config, log *slog.Logger, m *events.ConsumerMetrics) *Transport {
	return &Transport{pool, c, events.Backoff{Base: c.RetryBase, Max: c.RetryMax}, reserved, log, m}
}

// publish does not wait until its commit is on disk. The relay deletes the row
// afterwards, on the same server, and waits for that: what is on disk then includes
// all earlier commits. A crash in between takes both back, and the event is
// published again.
const publish = `-- name: PublishEvents :exec
	SELECT publish_events($1::json[]) FROM set_config('synchronous_commit', 'off', true)`

// Publish stores all events, or none, for all consumers that want them. The same
// source and id again do nothing for as long as events are kept. The database refuses
// a type that the role of the pool does not publish.
func (t *Transport) Publish(ctx context.Context, all ...events.Event) error {
	bodies := make([]string, len(all))
	for i, e := range all {
		body, err := json.Marshal(e)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "not an event")
		}
		bodies[i] = string(body)
	}
	if _, err := t.pool.Exec(ctx, publish, bodies); err != nil {
		return postgres.Fault(fmt.Errorf("publish events: %w", err))
	}
	return nil
}

// Subscribe works as events.Transport says.
func (t *Transport) Subscribe(ctx context.Context, consumer string, types []string, handle events.Handler) error {
	if err := events.Subscription(consumer, types); err != nil {
		return err
	}
	t.metrics.Start(consumer)
	s := subscription{Transport: t, consumer: consumer, handle: handle, log: t.log.With("consumer", consumer)}
	s.persist(ctx, "consumer not registered", func() error {
		_, err := s.pool.Exec(ctx, "SELECT subscribe_events($1, $2)", consumer, types)
		return err
	})
	s.consume(ctx)
	return nil
}

// subscription is one instance of a consumer.
type subscription struct {
	*Transport
	consumer string
	handle   events.Handler
	log      *slog.Logger
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
			events.Pause(ctx, s.config.Poll, nil)
		}
	}
}

// claim takes the oldest due delivery whose subject waits for no other. One that
// is locked or backs off is still there, so that none overtakes it. The attempt
// counts from here on, and the delivery is left as an attempt leaves it that
// never returned. A delivery without attempts left is parked instead.
//
// PostgreSQL can execute it in one way only, row by row in the order of seq, whatever it
// knows about the table: as a NOT EXISTS, it joined the whole table with itself while
// that was filled faster than it was analyzed. More than a thousand deliveries that
// back off hold back the later ones.
//
// The claim does not wait until its commit is on disk. A crash of the server takes it
// back, and ends the attempt.
const claim = `
	WITH due AS MATERIALIZED (
	    SELECT d.seq
	    FROM (SELECT seq FROM event_delivery WHERE consumer = $1 AND parked_at IS NULL ORDER BY seq LIMIT 1000) oldest
	    CROSS JOIN LATERAL (
	        SELECT d.seq
	        FROM event_delivery d
	        WHERE d.consumer = $1 AND d.seq = oldest.seq AND d.parked_at IS NULL AND d.next_attempt_at <= clock_timestamp()
	          AND (d.subject = '' OR d.seq = (
	              SELECT min(seq) FROM event_delivery WHERE consumer = $1 AND subject = d.subject AND parked_at IS NULL))
	        FOR UPDATE SKIP LOCKED) d
	    LIMIT 1)
	UPDATE event_delivery d
	SET attempts = d.attempts + CASE WHEN d.attempts < $2 THEN 1 ELSE 0 END,
	    parked_at = CASE WHEN d.attempts < $2 THEN NULL ELSE clock_timestamp() END,
	    next_attempt_at = clock_timestamp() + $3::interval,
	    last_error = CASE WHEN d.attempts < $2 THEN 'the consumer did not finish' ELSE coalesce(d.last_error, '') END
	FROM due JOIN event e USING (seq), set_config('synchronous_commit', 'off', true)
	WHERE d.consumer = $1 AND d.seq = due.seq
	RETURNING d.seq, d.attempts, d.parked_at IS NOT NULL, e.body::text`

// Sent are the statements that the transport sends by itself, over and over: for
// tests of their plans.
type Sent struct {
	Publish string // $1: the events
	Claim   string // $1: consumer, $2: attempts, $3: reservation
	Prune   string // $1: retention, $2: at most so many rows
}

// Statements returns them.
func Statements() Sent { return Sent{Publish: publish, Claim: claim, Prune: prune} }

// hold locks a claimed delivery, unless another instance has claimed it since. It waits
// for the lock: an instance whose claim began before this one was committed holds it
// until its own commit, although it takes another delivery. An instance that has claimed
// this one has changed attempts, so hold does not wait for its handler.
const hold = `
	SELECT FROM event_delivery WHERE consumer = $1 AND seq = $2 AND attempts = $3 AND parked_at IS NULL
	FOR UPDATE`

// reserved is how long a claimed delivery is left to its instance to lock it. It
// is also the pause before the next attempt when the process dies.
const reserved = 5 * time.Second

// delivery is a claimed event.
type delivery struct {
	seq      int64
	attempts int  // this one included
	parked   bool // there was no attempt left
	body     string
}

// next handles one event, and reports if there was none. The error is the
// database's.
func (s *subscription) next(ctx context.Context) (none bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	defer conn.Release()
	var d delivery
	err = conn.QueryRow(ctx, claim, s.consumer, s.config.MaxAttempts, s.reserved).Scan(&d.seq, &d.attempts, &d.parked, &d.body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("claim: %w", err)
	case d.parked:
		s.log.ErrorContext(ctx, "event parked", "seq", d.seq, "attempts", d.attempts, "error", "the consumer did not finish")
		s.metrics.Parked(s.consumer)
		return false, nil
	}
	return false, s.attempt(ctx, conn, d)
}

// attempt handles a claimed event while its delivery is locked.
func (s *subscription) attempt(ctx context.Context, conn *pgxpool.Conn, d delivery) error {
	// What has taken effect is to be marked even while the process stops.
	marking, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.HandlerTimeout+markTime)
	defer cancel()
	tx, err := conn.Begin(marking)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(marking) }() // nothing to do after a commit
	tag, err := tx.Exec(marking, hold, s.consumer, d.seq, d.attempts)
	switch {
	case err != nil:
		return fmt.Errorf("hold: %w", err)
	case tag.RowsAffected() == 0:
		return nil
	}
	failure := s.run(ctx, d.body)
	count, err := s.mark(ctx, marking, tx, d, failure)
	if err != nil {
		return fmt.Errorf("mark: %w", err)
	}
	if err := tx.Commit(marking); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	count(s.consumer)
	return nil
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

const (
	markHandled = "DELETE FROM event_delivery WHERE consumer = $1 AND seq = $2"
	markStopped = `UPDATE event_delivery SET attempts = attempts - 1, next_attempt_at = clock_timestamp()
		WHERE consumer = $1 AND seq = $2`
	markParked = "UPDATE event_delivery SET parked_at = clock_timestamp(), last_error = $3 WHERE consumer = $1 AND seq = $2"
	markFailed = `UPDATE event_delivery SET next_attempt_at = clock_timestamp() + $4::interval, last_error = $3
		WHERE consumer = $1 AND seq = $2`
)

// mark writes down what became of a delivery, and returns how to count it. ctx is
// that of the subscription, marking that of the statements.
func (s *subscription) mark(
	ctx, marking context.Context, tx pgx.Tx, d delivery, failure error,
) (count func(consumer string), err error) {
	log := s.log.With("seq", d.seq, "attempts", d.attempts, "error", failure)
	switch {
	case failure == nil:
		_, err = tx.Exec(marking, markHandled, s.consumer, d.seq)
		return s.metrics.Handled, err
	case ctx.Err() != nil: // stopped, not failed: the next instance has it at once
		_, err = tx.Exec(marking, markStopped, s.consumer, d.seq)
		return func(string) {}, err
	case d.attempts >= s.config.MaxAttempts:
		log.ErrorContext(ctx, "event parked")
		_, err = tx.Exec(marking, markParked, s.consumer, d.seq, failure.Error())
		return s.metrics.Parked, err
	default:
		log.WarnContext(ctx, "event not handled")
		_, err = tx.Exec(marking, markFailed, s.consumer, d.seq, failure.Error(), s.backoff.Delay(d.attempts))
		return s.metrics.Failed, err
	}
}

// pruneBatch bounds one statement that deletes old events.
const pruneBatch = 1000

const prune = "SELECT prune_events($1, $2)"

// Prune deletes old events of the pool's role that no delivery waits for, until
// ctx ends. Publishers run it, because there may be no consumer. Events that are
// set aside stay.
func (t *Transport) Prune(ctx context.Context) {
	for ctx.Err() == nil {
		var pruned int
		err := t.pool.QueryRow(ctx, prune, t.config.Retention, pruneBatch).Scan(&pruned)
		if err != nil && ctx.Err() == nil {
			t.log.WarnContext(ctx, "events not pruned", "error", err)
		}
		if err != nil || pruned < pruneBatch {
			events.Pause(ctx, time.Minute, nil)
		}
	}
}
