package postgres

import (
	"context"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// List returns up to limit orders of the caller, newest first, after a position.
// It returns order.ErrRevoked and Unavailable.
func (s *Store) List(ctx context.Context, c order.Caller, after *order.Position, limit int) ([]order.Order, error) {
	page := db.ListOrdersParams{MemberID: c.MemberID, MaxOrders: int32(limit)} //nolint:gosec // at most a page, as the service has checked
	if after != nil {
		page.HasAfter, page.AfterDate, page.AfterTime, page.AfterID = true, after.Date, after.Time, after.ID
	}
	rows, err := s.as(c).ListOrders(ctx, page)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	orders := []order.Order{}
	for _, r := range rows {
		if n := len(orders); n == 0 || orders[n-1].ID != r.OrderID {
			orders = append(orders, order.Order{ID: r.OrderID, MemberID: c.MemberID, BranchID: r.BranID, Date: r.Date, Time: r.Time})
		}
		last := &orders[len(orders)-1]
		last.Lines = appendLine(last.Lines, r.OrderDetailID, r.PizzaID, r.Quantity, r.UnitPrice)
	}
	return orders, nil
}

// Get returns one order of the caller. It returns NotFound, order.ErrRevoked and
// Unavailable.
func (s *Store) Get(ctx context.Context, c order.Caller, orderID string) (order.Order, error) {
	rows, err := s.as(c).GetOrder(ctx, db.GetOrderParams{OrderID: orderID, MemberID: c.MemberID})
	if err != nil {
		return order.Order{}, postgres.Fault(err)
	}
	if len(rows) == 0 {
		return order.Order{}, fault.New(fault.NotFound, "no such order")
	}
	first := rows[0]
	o := order.Order{
		ID: first.OrderID, MemberID: c.MemberID, BranchID: first.BranID,
		Date: first.Date, Time: first.Time, Total: first.TotalPrice,
	}
	for _, r := range rows {
		o.Lines = appendLine(o.Lines, r.OrderDetailID, r.PizzaID, r.Quantity, r.UnitPrice)
	}
	return o, nil
}

// appendLine adds the line of a joined row, if the order has one: the old
// system could leave an order without any.
func appendLine(lines []order.Line, id *int32, pizzaID *string, quantity *int32, price *money.Amount) []order.Line {
	if id == nil {
		return lines
	}
	return append(lines, order.Line{PizzaID: pizzaID, Quantity: int(*quantity), UnitPrice: price})
}

// Branches returns all branches, by id. It returns Unavailable.
func (s *Store) Branches(ctx context.Context) ([]order.Branch, error) {
	rows, err := s.queries.ListBranches(ctx)
	if err != nil {
		return nil, postgres.Fault(err)
	}
	branches := make([]order.Branch, len(rows))
	for i, r := range rows {
		branches[i] = order.Branch{ID: r.BranID, Name: r.BranNm}
	}
	return branches, nil
}
