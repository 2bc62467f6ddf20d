package postgres

import (
	"context"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// List implements order.Store. It returns order.ErrRevoked and Unavailable.
func (s *Store) List(ctx context.Context, c order.Caller, after *order.Position, orders, lines int) (page []order.Order, more bool, err error) {
	// One more of each than requested shows whether there are more.
	rows, err := s.page(ctx, c, after, int32(orders)+1, int32(lines)+1) //nolint:gosec // the bounds of a page
	if err != nil {
		return nil, false, postgres.Fault(err)
	}
	page = make([]order.Order, 0, min(len(rows), orders+1))
	all := make([]order.Line, 0, len(rows)) // each order has a part of it
	for _, r := range rows {
		if n := len(page); n == 0 || page[n-1].ID != r.OrderID {
			page = append(page, order.Order{ID: r.OrderID, MemberID: c.MemberID, BranchID: r.BranID, Date: r.Date, Time: r.Time})
			if r.CreatedAt != nil {
				page[n].Placed = *r.CreatedAt
			}
		}
		last := &page[len(page)-1]
		first := len(all) - len(last.Lines)
		all = appendLine(all, r.OrderDetailID, r.PizzaID, r.Quantity, r.UnitPrice)
		last.Lines = all[first:len(all):len(all)]
	}
	cut := len(rows) > lines // possibly within the last order
	switch {
	case cut && len(page) == 1:
		placed := page[0].Placed
		page[0], err = s.Get(ctx, c, page[0].ID)
		page[0].Placed = placed
		return page, true, err
	case cut || len(page) > orders:
		return page[:len(page)-1], true, nil
	}
	return page, false, nil
}

// page reads the rows of a page with the query for its start.
func (s *Store) page(ctx context.Context, c order.Caller, after *order.Position, orders, lines int32) ([]db.ListOrdersRow, error) {
	switch {
	case after == nil:
		return s.as(c).ListOrders(ctx, db.ListOrdersParams{MemberID: c.MemberID, MaxOrders: orders, MaxLines: lines})
	case after.Placed == 0:
		rows, err := s.as(c).ListOldOrdersAfter(ctx, db.ListOldOrdersAfterParams{
			MemberID: c.MemberID, MaxOrders: orders, MaxLines: lines,
			AfterDate: after.Date, AfterTime: after.Time, AfterID: after.ID,
		})
		return convert(rows, func(r db.ListOldOrdersAfterRow) db.ListOrdersRow { return db.ListOrdersRow(r) }), err
	default:
		rows, err := s.as(c).ListOrdersAfter(ctx, db.ListOrdersAfterParams{
			MemberID: c.MemberID, MaxOrders: orders, MaxLines: lines,
			AfterCreatedAt: time.UnixMicro(after.Placed), AfterDate: after.Date, AfterTime: after.Time, AfterID: after.ID,
		})
		return convert(rows, func(r db.ListOrdersAfterRow) db.ListOrdersRow { return db.ListOrdersRow(r) }), err
	}
}

func convert[A, B any](from []A, one func(A) B) []B {
	to := make([]B, len(from))
	for i, a := range from {
		to[i] = one(a)
	}
	return to
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

// appendLine adds the line of a joined row, if there is one: the old system could
// store an order without lines, and some of its databases a line without a quantity.
func appendLine(lines []order.Line, id *int32, pizzaID *string, quantity *int32, price *money.Amount) []order.Line {
	if id == nil {
		return lines
	}
	line := order.Line{PizzaID: pizzaID, UnitPrice: price}
	if quantity != nil {
		line.Quantity = int(*quantity)
	}
	return append(lines, line)
}

// Branches returns all branches, by id. Concurrent callers share one read, so that
// a request that needs no member takes one connection at most. It returns
// Unavailable.
func (s *Store) Branches(ctx context.Context) ([]order.Branch, error) {
	read := s.branches.DoChan("", func() (any, error) {
		rows, err := s.queries.ListBranches(context.WithoutCancel(ctx))
		branches := make([]order.Branch, len(rows))
		for i, r := range rows {
			branches[i] = order.Branch{ID: r.BranID, Name: r.BranNm}
		}
		return branches, postgres.Fault(err)
	})
	select {
	case r := <-read:
		branches, _ := r.Val.([]order.Branch)
		return branches, r.Err
	case <-ctx.Done():
		return nil, postgres.Fault(ctx.Err())
	}
}
