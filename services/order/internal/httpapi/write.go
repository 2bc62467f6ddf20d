package httpapi

import (
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

func placedOrder(o order.Order) api.PlacedOrder {
	lines := make([]api.PlacedLine, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = api.PlacedLine{PizzaID: *l.PizzaID, Quantity: l.Quantity, UnitPrice: *l.UnitPrice}
	}
	return api.PlacedOrder{OrderID: o.ID, Message: "the order is placed", TotalPrice: *o.Total, Lines: lines}
}

func oneOrder(o order.Order) api.Order {
	lines := make([]api.Line, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = api.Line{PizzaID: l.PizzaID, Quantity: l.Quantity, UnitPrice: l.UnitPrice}
	}
	return api.Order{OrderID: o.ID, BranID: o.BranchID, Date: o.Date, Time: o.Time, TotalPrice: o.Total, Lines: lines}
}

// rows flattens orders to one row per line, as old clients read them.
func rows(orders []order.Order) []api.OrderRow {
	n := 0
	for _, o := range orders {
		n += len(o.Lines)
	}
	out := make([]api.OrderRow, 0, n)
	for _, o := range orders {
		for _, l := range o.Lines {
			out = append(out, api.OrderRow{
				OrderID: o.ID, BranID: o.BranchID, PizzaID: l.PizzaID, Quantity: l.Quantity,
				UnitPrice: l.UnitPrice, Date: o.Date, Time: o.Time,
			})
		}
	}
	return out
}
