package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// Receipt returns the receipt that is kept under a key of the caller. It returns
// order.ErrRevoked and Unavailable.
func (s *Store) Receipt(ctx context.Context, c order.Caller, key string) (r idempotency.Receipt, found bool, err error) {
	row, err := s.as(c).GetReceipt(ctx, db.GetReceiptParams{MemberID: c.MemberID, Key: key})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return r, false, nil
	case err != nil:
		return r, false, postgres.Fault(err)
	case len(row.Fingerprint) != len(r.Fingerprint):
		return r, false, fmt.Errorf("a stored fingerprint has %d bytes, want %d", len(row.Fingerprint), len(r.Fingerprint))
	}
	return idempotency.Receipt{
		Key: key, Fingerprint: idempotency.Fingerprint(row.Fingerprint),
		Status: int(row.Status), ContentType: row.ContentType, Location: row.Location, Body: row.Body,
	}, true, nil
}

// DeleteLock is the advisory lock of the replica that deletes old receipts.
const DeleteLock = 0x6f72646572_01 // "order", 1

// DeleteReceipts deletes up to atMost receipts older than ttl, by the clock of the
// database, and returns their number. It returns 0 while another replica is
// deleting, and Unavailable.
func (s *Store) DeleteReceipts(ctx context.Context, ttl time.Duration, atMost int) (int, error) {
	n, err := s.queries.DeleteReceipts(ctx, db.DeleteReceiptsParams{Lock: DeleteLock, TtlSeconds: ttl.Seconds(), AtMost: int32(atMost)}) //nolint:gosec // a small constant
	return int(n), postgres.Fault(err)
}
