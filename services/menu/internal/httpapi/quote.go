package httpapi

import (
	"errors"

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
