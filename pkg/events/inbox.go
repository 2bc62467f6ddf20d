package events

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
)

// InboxSchema is the table of an Inbox, for the migrations of the consumer:
const InboxSchema = `
CREATE TABLE inbox (
    consumer    text        NOT NULL,
    source      text        NOT NULL,
    event_id    text        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, source, event_id)
);
CREATE INDEX inbox_received_at ON inbox (received_at);
`

// Inbox records the events that a consumer has handled, by source and id, in the
// consumer's own database, so that a duplicate takes effect once.
type Inbox struct {
	Table    string // of InboxSchema; consumers may share one
	Consumer string // durable name, as given to Subscribe

	Duplicates *prometheus.CounterVec // NewDuplicates; nil counts nothing
}

// Once calls handle if the event is new to the consumer, and reports whether it did. The
// record of the event and the effects of handle are committed or rolled back together,
// with tx. Of two transactions with the same event, the second waits for the first.
func (i Inbox) Once(ctx context.Context, tx pgx.Tx, e Event, handle func(ctx context.Context) error) (bool, error) {
	tag, err := tx.Exec(ctx, "INSERT INTO "+pgx.Identifier{i.Table}.Sanitize()+
		" (consumer, source, event_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", i.Consumer, e.Source, e.ID)
	if err != nil {
		return false, fmt.Errorf("inbox: %w", err)
	}
	if tag.RowsAffected() == 0 {
		if i.Duplicates != nil {
			i.Duplicates.WithLabelValues(i.Consumer).Inc()
		}
		return false, nil
	}
	return true, handle(ctx)
}

// Handler returns a Handler that runs handle once per event, in its own transaction.
func (i Inbox) Handler(db Beginner, handle func(ctx context.Context, tx pgx.Tx, e Event) error) Handler {
	return func(ctx context.Context, e Event) error {
		return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			_, err := i.Once(ctx, tx, e, func(ctx context.Context) error { return handle(ctx, tx, e) })
			return err
		})
	}
}

// Beginner starts transactions: a pool or a connection.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// Prune deletes records older than retention, of all consumers of the table, and returns
// their number. Retention must exceed the time for which a transport redelivers.
func (i Inbox) Prune(ctx context.Context, db interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, retention time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, "DELETE FROM "+pgx.Identifier{i.Table}.Sanitize()+
		" WHERE received_at < now() - $1::interval", retention)
	if err != nil {
		return 0, fmt.Errorf("prune the inbox: %w", err)
	}
	return tag.RowsAffected(), nil
}
