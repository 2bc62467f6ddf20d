package httpapi

import (
	"errors"
	"slices"
	"strings"

	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

func readLines(lines *[]api.QuoteLine) []menu.Line {
	if lines == nil {
		return nil
	}
	out := make([]menu.Line, len(*lines))
	for i, l := range *lines {
		out[i] = menu.Line{PizzaID: text(l.PizzaID), Name: text(l.PizzaNm), Size: text(l.Size)}
	}
	return out
}

func quotedLines(quoted []menu.Quoted) []api.QuotedLine {
	out := make([]api.QuotedLine, len(quoted))
	for i, q := range quoted {
		switch {
		case q.Err == nil:
			out[i] = api.QuotedLine{PizzaID: &quoted[i].Pizza.ID, UnitPrice: &quoted[i].Pizza.Price}
		case errors.Is(q.Err, menu.ErrUnknownSize):
			out[i] = api.QuotedLine{Error: reason(api.UnknownSize)}
		default:
			out[i] = api.QuotedLine{Error: reason(api.UnknownPizza)}
		}
	}
	return out
}

func reason(e api.QuoteError) *api.QuoteError { return &e }

func priceList(c *menu.Catalog) api.Catalog {
	list := api.Catalog{
		CatalogVersion: c.Version, Pizzas: make([]api.PricedPizza, len(c.Pizzas)), PizzaNms: make([]string, len(c.Types)),
	}
	for i, p := range c.Pizzas {
		list.Pizzas[i] = api.PricedPizza{PizzaID: p.ID, PizzaNm: c.Type(p).Name, Size: p.Size, UnitPrice: p.Price}
	}
	slices.SortFunc(list.Pizzas, func(a, b api.PricedPizza) int { return strings.Compare(a.PizzaID, b.PizzaID) })
	for i, t := range c.Types {
		list.PizzaNms[i] = t.Name
	}
	slices.Sort(list.PizzaNms)
	list.PizzaNms = slices.Compact(list.PizzaNms)
	return list
}
