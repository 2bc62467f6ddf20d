package menu_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"example.com/pizza/pkg/money"
	"example.com/pizza/services/menu/internal/menu"
)

// sample returns a small catalog with leftovers of the old system: two types
// with one name, a pizza whose type is gone, an odd size, and Korean names.
func sample() *menu.Catalog {
	price := money.MustParse
	return menu.NewCatalog(7,
		[]menu.Type{
			{ID: "veg", Name: "The Green Pizza", Category: "Veggie", Image: "images/veg.png"},
			{ID: "bbq", Name: "The Barbecue Pizza", Category: "Chicken", Image: "images/bbq.png"},
			{ID: "bul", Name: "불고기 피자", Category: "한식", Image: "images/bul.png"},
			{ID: "old", Name: "The Green Pizza", Category: "Veggie", Image: "images/old.png"},
			{ID: "new", Name: "The Coming Pizza", Category: "Veggie", Image: "images/new.png"},
		},
		[]menu.Pizza{
			{ID: "veg_l", TypeID: "veg", Size: "L", Price: price("20")},
			{ID: "veg_s", TypeID: "veg", Size: "S", Price: price("12.5")},
			{ID: "bbq_party", TypeID: "bbq", Size: "Party", Price: price("45")},
			{ID: "bbq_xl", TypeID: "bbq", Size: "XL", Price: price("25")},
			{ID: "bbq_m", TypeID: "bbq", Size: "M", Price: price("20")},
			{ID: "bul_m", TypeID: "bul", Size: "M", Price: price("18.25")},
			{ID: "old_l", TypeID: "old", Size: "L", Price: price("9.75")},
			{ID: "old_xxl", TypeID: "old", Size: "XXL", Price: price("35.95")},
			{ID: "lost_m", TypeID: "gone", Size: "M", Price: price("1")},
		},
	)
}

func ids(pizzas []menu.Pizza) []string {
	out := make([]string, len(pizzas))
	for i, p := range pizzas {
		out[i] = p.ID
	}
	return out
}

func TestCatalogOrder(t *testing.T) {
	t.Parallel()
	c := sample()
	if diff := cmp.Diff([]string{"bbq_m", "bbq_xl", "bbq_party", "bul_m", "old_l", "old_xxl", "veg_s", "veg_l"}, ids(c.Pizzas)); diff != "" {
		t.Error("pizzas by type, size, id:", diff)
	}
	var types []string
	for _, typ := range c.Types {
		types = append(types, typ.ID)
	}
	if diff := cmp.Diff([]string{"bbq", "bul", "new", "old", "veg"}, types); diff != "" {
		t.Error("types by id:", diff)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		name, size, want string
		err              error
	}{
		"ok":                      {"The Barbecue Pizza", "XL", "bbq_xl", nil},
		"korean":                  {"불고기 피자", "M", "bul_m", nil},
		"name_twice_lowest_id":    {"The Green Pizza", "L", "old_l", nil},
		"name_twice_first_alone":  {"The Green Pizza", "XXL", "old_xxl", nil},
		"name_twice_second_alone": {"The Green Pizza", "S", "veg_s", nil},
		"decomposed":              {norm.NFD.String("불고기 피자"), "M", "bul_m", nil},
		"other_blank":             {"불고기\u00a0피자", "M", "bul_m", nil},
		"very_long":               {strings.Repeat("\ufdfa", 20_000), "M", "", menu.ErrUnknownPizza},
		"unknown_name":            {"The Durian Pizza", "L", "", menu.ErrUnknownPizza},
		"unknown_size":            {"The Barbecue Pizza", "L", "", menu.ErrUnknownSize},
		"type_without_pizzas":     {"The Coming Pizza", "L", "", menu.ErrUnknownSize},
		"other_case":              {"the barbecue pizza", "XL", "", menu.ErrUnknownPizza},
		"other_case_of_size":      {"The Barbecue Pizza", "xl", "", menu.ErrUnknownSize},
		"blank_at_the_end":        {"The Barbecue Pizza ", "XL", "", menu.ErrUnknownPizza},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := sample().Find(test.name, test.size)
			if p.ID != test.want || !errors.Is(err, test.err) {
				t.Errorf("found %q, %v; want %q, %v", p.ID, err, test.want, test.err)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	c := sample()
	pizza := func(id string) menu.Quoted {
		for _, p := range c.Pizzas {
			if p.ID == id {
				return menu.Quoted{Pizza: p}
			}
		}
		t.Fatalf("no pizza %s", id)
		return menu.Quoted{}
	}
	got := c.Quote([]menu.Line{
		{PizzaID: "bul_m"},
		{Name: "The Barbecue Pizza", Size: "M"},
		{PizzaID: "bul_m"},
		{PizzaID: "durian_l"},
		{PizzaID: "lost_m"},
		{Name: "The Durian Pizza", Size: "M"},
		{Name: "The Barbecue Pizza", Size: "S"},
		{PizzaID: "veg_s", Name: "The Barbecue Pizza", Size: "nonsense"},
	})
	want := []menu.Quoted{
		pizza("bul_m"), pizza("bbq_m"), pizza("bul_m"),
		{Err: menu.ErrUnknownPizza}, {Err: menu.ErrUnknownPizza}, {Err: menu.ErrUnknownPizza}, {Err: menu.ErrUnknownSize},
		pizza("veg_s"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(errors.Is)); diff != "" {
		t.Error(diff)
	}
}
