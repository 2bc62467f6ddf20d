package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/postgres/db"
)

// change runs write while no other transaction can change the catalog, and returns the
// first version that includes the change. Triggers increase the version, also for writes
// of the old system.
func (s *Store) change(ctx context.Context, write func(*db.Queries) (created bool, err error)) (menu.Change, error) {
	var change menu.Change
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		q := s.queries.WithTx(tx)
		if err := q.LockCatalog(ctx); err != nil {
			return err
		}
		var err error
		if change.Created, err = write(q); err != nil {
			return err
		}
		change.Version, err = q.Version(ctx)
		return err
	})
	if err != nil {
		return change, postgres.Fault(err)
	}
	s.wake()
	return change, nil
}

// PutType implements menu.Writer.
func (s *Store) PutType(ctx context.Context, t menu.Type) (menu.Change, error) {
	return s.change(ctx, func(q *db.Queries) (bool, error) {
		types, err := q.TypeNames(ctx)
		if err != nil {
			return false, err
		}
		known := false
		for _, other := range types {
			switch {
			case other.PizzaTypeID == t.ID:
				known = true
			case menu.SameText(other.PizzaNm, t.Name):
				return false, fault.New(fault.Conflict, fmt.Sprintf("the pizza type %s already has this name", other.PizzaTypeID))
			}
		}
		if known {
			return false, q.UpdateType(ctx, db.UpdateTypeParams{ID: t.ID, Name: t.Name, Category: t.Category, Image: t.Image})
		}
		if err := menu.ValidateNewID(t.ID); err != nil {
			return false, err
		}
		return true, q.InsertType(ctx, db.InsertTypeParams{ID: t.ID, Name: t.Name, Category: t.Category, Image: t.Image})
	})
}

// PutPizza implements menu.Writer.
func (s *Store) PutPizza(ctx context.Context, p menu.NewPizza) (menu.Change, error) {
	return s.change(ctx, func(q *db.Queries) (bool, error) {
		found, err := q.CheckPizza(ctx, db.CheckPizzaParams{ID: p.ID, TypeID: p.TypeID})
		if err != nil {
			return false, err
		}
		if !found.TypeKnown {
			return false, fault.InvalidFields(fault.Field{Field: "pizza_type_id", Message: "is no pizza type"})
		}
		sizes, err := q.SizesOfType(ctx, p.TypeID)
		if err != nil {
			return false, err
		}
		for _, other := range sizes {
			if other.PizzaID != p.ID && menu.SameText(other.Size, p.Size) {
				return false, fault.New(fault.Conflict, fmt.Sprintf("the pizza %s already has this type and size", other.PizzaID))
			}
		}
		if found.Known {
			return false, q.UpdatePizza(ctx, db.UpdatePizzaParams{ID: p.ID, TypeID: &p.TypeID, Size: p.Size, Price: p.Price.Float()})
		}
		if err := menu.ValidateNewID(p.ID); err != nil {
			return false, err
		}
		return true, q.InsertPizza(ctx, db.InsertPizzaParams{ID: p.ID, TypeID: &p.TypeID, Size: p.Size, Price: p.Price.Float()})
	})
}

// DeleteType implements menu.Writer.
func (s *Store) DeleteType(ctx context.Context, id string) (menu.Change, error) {
	return s.change(ctx, func(q *db.Queries) (bool, error) {
		rows, err := q.DeleteType(ctx, id)
		return false, deleted(rows, err, "there is no such pizza type", "the type has pizzas; remove them first")
	})
}

// DeletePizza implements menu.Writer.
func (s *Store) DeletePizza(ctx context.Context, id string) (menu.Change, error) {
	return s.change(ctx, func(q *db.Queries) (bool, error) {
		rows, err := q.DeletePizza(ctx, id)
		return false, deleted(rows, err, "there is no such pizza", "the pizza has orders and cannot be removed")
	})
}

const foreignKeyViolation = "23503" // PostgreSQL documentation, appendix A

// deleted returns the result of a DELETE by id.
func deleted(rows int64, err error, unknown, referenced string) error {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == foreignKeyViolation:
		return fault.Wrap(err, fault.Conflict, referenced)
	case err == nil && rows == 0:
		return fault.New(fault.NotFound, unknown)
	default:
		return err
	}
}
