package httpapi

import (
	"testing"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

// Any bytes are rejected as Invalid, or every line gets either a price or a
// reason.
func FuzzQuote(f *testing.F) {
	f.Add([]byte(`{"lines":[{"pizza_id":"a_l"},{"pizza_nm":"A","size":"L"},{"pizza_nm":"A","size":"S"},{"pizza_id":"b"}]}`))
	f.Add([]byte(`{"lines":[{},null,1,[]]}`))
	f.Add([]byte(`{"lines":{"pizza_id":1e400}}`))
	f.Add([]byte("{\"lines\":[{\"pizza_id\":\"\\u0000\xff\"}]}"))
	catalog := menu.NewCatalog(1,
		[]menu.Type{{ID: "a", Name: "A"}},
		[]menu.Pizza{{ID: "a_l", TypeID: "a", Size: "L", Price: money.MustParse("9.5")}})
	f.Fuzz(func(t *testing.T, body []byte) {
		var r api.QuoteRequest
		err := bind.JSON(body, &r)
		var lines []menu.Line
		if err == nil {
			lines = readLines(r.Lines)
			err = menu.ValidateLines(lines)
		}
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid {
				t.Error(err)
			}
			return
		}
		quoted := quotedLines(catalog.Quote(lines))
		if len(quoted) != len(lines) {
			t.Fatalf("%d lines, %d answers", len(lines), len(quoted))
		}
		for i, q := range quoted {
			if priced := q.PizzaID != nil && q.UnitPrice != nil; priced == (q.Error != nil) {
				t.Errorf("line %d is %+v", i, q)
			}
		}
	})
}
