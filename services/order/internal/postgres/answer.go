package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// Answer returns what is kept under a key of the caller. It returns
// order.ErrRevoked and Unavailable.
func (s *Store) Answer(ctx context.Context, c order.Caller, key string) (a order.Answer, found bool, err error) {
	row, err := s.as(c).GetAnswer(ctx, db.GetAnswerParams{MemberID: c.MemberID, Key: key})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return order.Answer{}, false, nil
	case err != nil:
		return order.Answer{}, false, postgres.Fault(err)
	}
	a = order.Answer{Key: key, Receipt: order.Receipt{
		Status: int(row.Status), ContentType: row.ContentType, Location: row.Location, Body: row.Body,
	}}
	if copy(a.Fingerprint[:], row.Fingerprint) != len(row.Fingerprint) || len(row.Fingerprint) != len(a.Fingerprint) {
		return order.Answer{}, false, fmt.Errorf("the fingerprint of a kept answer has %d bytes", len(row.Fingerprint))
	}
	return a, true, nil
}

// ForgetLock is the advisory lock of the replica that deletes old answers.
const ForgetLock = 0x6f72646572_01 // "order", 1

// Forget deletes up to atMost answers that are older than ttl, by the clock of
// the database, and returns how many; 0 also while another replica is at it. It
// returns Unavailable.
func (s *Store) Forget(ctx context.Context, ttl time.Duration, atMost int) (int, error) {
	n, err := s.queries.ForgetAnswers(ctx, db.ForgetAnswersParams{Lock: ForgetLock, TtlSeconds: ttl.Seconds(), AtMost: int32(atMost)}) //nolint:gosec // a small constant
	return int(n), postgres.Fault(err)
}
