// Package postgres stores orders in PostgreSQL. The SQL is in queries/; the code in
// db/ is generated from it.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/singleflight"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// Store is the order.Store and the httpapi.Store.
type Store struct {
	pool     *pgxpool.Pool
	queries  *db.Queries // without a member; see as
	wake     func()
	branches singleflight.Group
	textIDs  atomic.Bool // known to be no numbers
}

// NewStore returns a store on a pool of the order service's role. It calls wake
// after an event was committed to the outbox.
func NewStore(pool *pgxpool.Pool, wake func()) *Store {
	return &Store{pool: pool, queries: db.New(pool), wake: wake}
}

// NewID returns an id that no order has had: a UUID, or a number of the database where
// the old system's ids are numbers. It returns Unavailable.
func (s *Store) NewID(ctx context.Context) (string, error) {
	if !s.textIDs.Load() {
		number, err := s.queries.NewOrderID(ctx)
		if !errors.Is(err, pgx.ErrNoRows) {
			return number, postgres.Fault(err)
		}
		s.textIDs.Store(true)
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("create an order id: %w", err)
	}
	return id.String(), nil
}

// Insert stores an order with a price on every line, its order.created event, and
// its receipt if that has a key, in one transaction. It returns Invalid for an
// unknown branch and for a pizza that has left the menu, idempotency.ErrInUse for a
// key in use, order.ErrRevoked, and Unavailable.
func (s *Store) Insert(ctx context.Context, c order.Caller, o order.Order, r idempotency.Receipt) error {
	ctx, span := events.Create(ctx, orderCreatedType)
	defer span.End()
	e, err := newOrderCreated(ctx, o)
	if err != nil {
		return err
	}
	row := db.InsertOrderParams{
		OrderID: o.ID, MemberID: o.MemberID, BranID: o.BranchID,
		Date: o.Date, Time: o.Time, CreatedAt: &o.Placed, TotalPrice: o.Total,
		EventID: e.id, EventType: e.name, EventData: e.data, Traceparent: e.traceparent,
	}
	for _, l := range o.Lines {
		row.PizzaIds = append(row.PizzaIds, *l.PizzaID)
		row.Quantities = append(row.Quantities, int32(l.Quantity)) //nolint:gosec // at most order.MaxQuantity
		row.UnitPrices = append(row.UnitPrices, *l.UnitPrice)
	}
	if r.Key != "" {
		row.Key, row.Fingerprint, row.Status = &r.Key, r.Fingerprint[:], int32(r.Status) //nolint:gosec // an HTTP status
		row.ContentType, row.Location, row.Body = r.ContentType, r.Location, r.Body
	}
	kept, err := s.as(c).InsertOrder(ctx, row)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == foreignKeyViolation:
		return missingReference(pg, o)
	case errors.As(err, &pg) && pg.Code == uniqueViolation && pg.TableName == "idempotency_key":
		return idempotency.ErrInUse
	case err != nil:
		return postgres.Fault(err)
	case kept == 0:
		return idempotency.ErrInUse
	}
	s.wake()
	return nil
}

// PostgreSQL error codes (PostgreSQL documentation, appendix A).
const (
	foreignKeyViolation = "23503"
	uniqueViolation     = "23505"
)

// missingReference returns the fault of a foreign key violation, by its table:
// orders refer to a branch, lines to a pizza. Constraint names do not help, since a
// database that was taken over has its own.
func missingReference(err *pgconn.PgError, o order.Order) error {
	if err.TableName == "orders" {
		return fault.InvalidFields(fault.Field{Field: "branchId", Message: fmt.Sprintf("unknown branch %q", *o.BranchID)})
	}
	return fault.InvalidFields(fault.Field{Field: "lines", Message: "name a pizza that is no longer on the menu"})
}
