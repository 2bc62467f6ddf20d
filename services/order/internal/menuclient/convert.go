package menuclient

import (
	"fmt"

	"example.com/pizza/services/order/internal/menuclient/menuapi"
	"example.com/pizza/services/order/internal/order"
)

func request(lines []order.NewLine) menuapi.QuoteRequest {
	out := make([]menuapi.QuoteLine, len(lines))
	for i, l := range lines {
		if l.PizzaID != "" {
			out[i].PizzaID = &l.PizzaID
		} else {
			out[i].PizzaNm, out[i].Size = &l.Name, &l.Size
		}
	}
	return menuapi.QuoteRequest{Lines: &out}
}

// prices reads menu's answer line by line. It returns an error for a line
// that is neither a price nor a known refusal.
func prices(lines []menuapi.QuotedLine) ([]order.Price, error) {
	out := make([]order.Price, len(lines))
	for i, l := range lines {
		switch {
		case l.PizzaID != nil && l.UnitPrice != nil:
			out[i] = order.Price{PizzaID: *l.PizzaID, Unit: *l.UnitPrice}
		case l.Error != nil && *l.Error == menuapi.UnknownPizza:
			out[i].Refused = order.UnknownPizza
		case l.Error != nil && *l.Error == menuapi.UnknownSize:
			out[i].Refused = order.UnknownSize
		default:
			return nil, fmt.Errorf("line %d is neither a price nor a known refusal", i)
		}
	}
	return out, nil
}
