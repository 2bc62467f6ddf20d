package order

import (
	"fmt"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
)

// price joins the requested lines with the menu's prices, and adds up the total.
func price(requested []NewLine, prices []Price) ([]Line, money.Amount, error) {
	var total money.Amount
	if len(prices) != len(requested) {
		return nil, total, fmt.Errorf("the menu priced %d of %d lines", len(prices), len(requested))
	}
	var bad []fault.Field
	lines := make([]Line, len(requested))
	for i, p := range prices {
		if p.Refused != "" {
			bad = append(bad, fault.Field{Field: LinePath(i), Message: p.Refused})
			continue
		}
		lines[i] = Line{PizzaID: &p.PizzaID, Quantity: *requested[i].Quantity, UnitPrice: &p.Unit}
		total = total.Add(p.Unit.Times(*requested[i].Quantity))
	}
	if len(bad) > 0 {
		return nil, total, fault.InvalidFields(bad...)
	}
	if total.Cmp(money.Max) > 0 {
		return nil, total, fault.InvalidFields(fault.Field{Field: "lines", Message: "must not cost more than " + money.Max.String()})
	}
	return lines, total, nil
}
