// Package postgres stores the catalog in PostgreSQL. The SQL is in queries/; the code in
// db/ is generated from it.
package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/postgres/db"
)

// Store is a snapshot.Source.
type Store struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	wake    func()
}

// NewStore returns a store on a pool of the menu service's role. It calls wake after an
// event was committed to the outbox.
func NewStore(pool *pgxpool.Pool, wake func()) *Store { return &Store{pool, db.New(pool), wake} }

// Catalog returns the whole catalog of one moment, in one round trip. It leaves out pizzas
// with an invalid price (the old FLOAT column can hold NaN) and pizzas without a type, a
// size or a price. It returns Unavailable.
func (s *Store) Catalog(ctx context.Context) (*menu.Catalog, error) {
	rows, err := s.queries.Catalog(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	if len(rows) == 0 {
		return nil, errors.New("catalog_version has no row: the migrations put one there")
	}
	var types []menu.Type
	var pizzas []menu.Pizza
	for _, r := range rows {
		if r.PizzaTypeID == nil {
			continue
		}
		if n := len(types); n == 0 || types[n-1].ID != *r.PizzaTypeID {
			types = append(types, menu.Type{ID: *r.PizzaTypeID, Name: r.PizzaNm, Category: r.PizzaCateg, Image: r.PizzaImgUrl})
		}
		if r.PizzaID == nil || r.Size == nil {
			continue
		}
		if price, ok := money.FromFloat(r.Price); ok {
			pizzas = append(pizzas, menu.Pizza{ID: *r.PizzaID, TypeID: *r.PizzaTypeID, Size: *r.Size, Price: price})
		}
	}
	c := menu.NewCatalog(rows[0].Version, types, pizzas)
	c.Mark = menu.Mark{ID: rows[0].Mark, Key: rows[0].CacheKey}
	return c, nil
}

// Mark returns the mark of the current catalog. It returns Unavailable.
func (s *Store) Mark(ctx context.Context) (menu.Mark, error) {
	row, err := s.queries.Mark(ctx)
	return menu.Mark{ID: row.Mark, Key: row.CacheKey}, postgres.Fault(err)
}
