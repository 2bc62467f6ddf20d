package order_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/order"
)

func TestCatalogQuote(t *testing.T) {
	t.Parallel()
	pizza := func(id, name, size, price string) order.Pizza {
		return order.Pizza{ID: id, Name: name, Size: size, Price: money.MustParse(price)}
	}
	c := order.NewCatalog(7, []order.Pizza{
		pizza("a_l", "A", "L", "10"), pizza("twin_2", "Twin", "S", "2"), pizza("twin_10", "Twin", "S", "1"),
	}, []string{"A", "Nothing", "Twin"})
	priced := func(id, price string) order.Price { return order.Price{PizzaID: id, Unit: money.MustParse(price)} }
	for name, test := range map[string]struct {
		line order.NewLine
		want order.Price
	}{
		"by_id":               {order.NewLine{PizzaID: "a_l"}, priced("a_l", "10")},
		"by_name_and_size":    {order.NewLine{Name: "A", Size: "L"}, priced("a_l", "10")},
		"the_id_goes_first":   {order.NewLine{PizzaID: "a_l", Name: "Twin", Size: "S"}, priced("a_l", "10")},
		"lowest_id_of_twins":  {order.NewLine{Name: "Twin", Size: "S"}, priced("twin_10", "1")},
		"unknown_id":          {order.NewLine{PizzaID: "b", Name: "A", Size: "L"}, order.Price{Refused: "is not on the menu"}},
		"unknown_name":        {order.NewLine{Name: "a", Size: "L"}, order.Price{Refused: "is not on the menu"}},
		"unknown_size":        {order.NewLine{Name: "A", Size: "S"}, order.Price{Refused: "is not sold in this size"}},
		"name_without_pizzas": {order.NewLine{Name: "Nothing", Size: "S"}, order.Price{Refused: "is not sold in this size"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff([]order.Price{test.want}, c.Quote([]order.NewLine{test.line})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
