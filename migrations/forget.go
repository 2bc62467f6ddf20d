package migrations

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Forgotten is what ForgetMember changed in one table.
type Forgotten struct {
	Table string
	Rows  int64
	What  string // what was done to the rows
}

// forgetting erases member $1, in the order of the statements. On delete, the
// triggers of the table end all sessions and keep the id taken.
//
// Orders and their events stay, because shops, kitchens and accounting need
// them, but they belong to nobody. No policy shows a row with an empty
// member_id, no token has that id, and former_member bars it from registering.
//
// Two records name the member for a little longer. The row that revokes its
// tokens is shortened to the maximum token lifetime, and login deletes it then.
// The events that announce the revocation stay until they are delivered and
// their retention ends: without them a gateway would keep accepting a token.
var forgetting = []struct{ table, what, sql string }{
	{"member", "deleted", "DELETE FROM member WHERE member_id = $1"},
	{"revoked_token", "deleted", "DELETE FROM revoked_token WHERE member_id = $1"},
	{"revoked_member", "kept for 7 days", `
		WITH kept AS (
			DELETE FROM revoked_member WHERE member_id = $1 AND expires_at > now() + interval '7 days' RETURNING member_id, generation
		)
		INSERT INTO revoked_member (member_id, generation, expires_at)
		SELECT member_id, generation, now() + interval '7 days' FROM kept`},
	{"login_outbox", "deleted", "DELETE FROM login_outbox WHERE subject = $1 AND (sent_at IS NOT NULL OR parked_at IS NOT NULL)"},
	{"orders", "detached", "UPDATE orders SET member_id = '' WHERE member_id = $1"},
	{"idempotency_key", "deleted", "DELETE FROM idempotency_key WHERE member_id = $1"},
	{"order_outbox", "detached", `
		UPDATE order_outbox SET data = jsonb_set(data, '{member_id}', '""')
		WHERE type = 'order.created' AND data->>'member_id' = $1`},
	{"event", "detached", `
		UPDATE event SET body = jsonb_set(body::jsonb, '{data,member_id}', '""')::json
		WHERE type = 'order.created' AND body->'data'->>'member_id' = $1`},
	{"event", "deleted", `
		DELETE FROM event e WHERE e.type = 'token.revoked' AND e.subject = $1
		AND NOT EXISTS (SELECT FROM event_delivery d WHERE d.seq = e.seq)`},
}

// ForgetMember erases a member, in one transaction: it deletes the row with
// name and password, and detaches the member's orders and their events. The id
// stays taken, as a hash. It returns what was changed, even if the id has no
// member anymore; repeating it is harmless. It can miss an order that is being
// placed concurrently, which a second run finds. dsn names the role migrator,
// or a superuser.
func ForgetMember(ctx context.Context, dsn, memberID string) (done []Forgotten, err error) {
	if memberID == "" {
		return nil, errors.New("the member id is empty")
	}
	conn, err := connect(ctx, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO former_member (id_hash) VALUES (sha256('')) ON CONFLICT DO NOTHING")
		if err != nil {
			return err
		}
		for _, f := range forgetting {
			tag, err := tx.Exec(ctx, f.sql, memberID)
			if err != nil {
				return fmt.Errorf("%s: %w", f.table, err)
			}
			done = append(done, Forgotten{f.table, tag.RowsAffected(), f.what})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("forget the member (nothing was changed): %w", explain(err))
	}
	return done, nil
}
