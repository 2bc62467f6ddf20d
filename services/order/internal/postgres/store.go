// Package postgres keeps orders in PostgreSQL. The SQL is in queries/, the code
// in db/ is generated from it.
package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// Store is an order.Store.
type Store struct {
	pool    *pgxpool.Pool
	queries *db.Queries // of no member; see as
	wake    func()
}

// NewStore returns a store on a pool of the order service's role. It calls wake
// when an event has been committed to the outbox.
func NewStore(pool *pgxpool.Pool, wake func()) *Store { return &Store{pool, db.New(pool), wake} }

// Insert keeps an order that has a price on every line, announces it as
// order.created, and keeps the answer under its key if there is one, in one
// transaction. It returns Invalid for a branch that does not exist and for a
// pizza that left the menu meanwhile, ErrInWork where the key is in use,
// order.ErrRevoked, and Unavailable.
func (s *Store) Insert(ctx context.Context, c order.Caller, o order.Order, a *order.Answer) error {
	ctx, span := events.Create(ctx, orderCreatedType)
	defer span.End()
	e, err := created(ctx, o)
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
		row.Quantities = append(row.Quantities, int32(l.Quantity)) //nolint:gosec // at most 100 or so, as the order has checked
		row.UnitPrices = append(row.UnitPrices, *l.UnitPrice)
	}
	if a != nil {
		row.Key, row.Fingerprint, row.Status = &a.Key, a.Fingerprint[:], int32(a.Receipt.Status) //nolint:gosec // a status of HTTP
		row.ContentType, row.Location, row.Body = a.Receipt.ContentType, a.Receipt.Location, a.Receipt.Body
	}
	kept, err := s.as(c).InsertOrder(ctx, row)
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == foreignKeyViolation:
		return missing(pg)
	case errors.As(err, &pg) && pg.Code == uniqueViolation && pg.TableName == "idempotency_key":
		return order.ErrInWork
	case err != nil:
		return postgres.Fault(err)
	case kept == 0:
		return order.ErrInWork
	}
	s.wake()
	return nil
}

// Of the PostgreSQL documentation, appendix A.
const (
	foreignKeyViolation = "23503"
	uniqueViolation     = "23505"
)

// missing tells by the table which reference it was: orders refer to a branch,
// lines to a pizza. Constraint names would not do, since a database that was
// taken over has its own.
func missing(err *pgconn.PgError) error {
	if err.TableName == "orders" {
		return fault.InvalidFields(fault.Field{Field: "branchId", Message: "is no branch"})
	}
	return fault.InvalidFields(fault.Field{Field: "lines", Message: "name a pizza that is no longer on the menu"})
}
