package menu

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"

	"example.com/pizza/pkg/text"
)

// Sort is an order of the menu.
type Sort string

// The orders. Equal pizzas stay in the order of the catalog, also in a reversed order.
const (
	SortDefault   Sort = "" // by type, size, id
	SortName      Sort = "name"
	SortNameDown  Sort = "-name"
	SortPrice     Sort = "price"
	SortPriceDown Sort = "-price"
)

// Filter selects and sorts pizzas. An empty field matches all. Texts match in any letter
// case, after normalization (package text).
type Filter struct {
	Query    string // part of the type's name
	Category string // the whole category
	Size     string // the whole size
	Sort     Sort
}

// Validate returns Invalid with every bad field, by the names of the query
// parameters, or nil.
func (f Filter) Validate() error {
	var check fields
	for _, p := range []struct{ name, value string }{{"q", f.Query}, {"category", f.Category}, {"size", f.Size}} {
		switch {
		case text.TooLong(p.value, maxText):
			check.reject(p.name, text.LengthRule(maxText))
		case !utf8.ValidString(p.value):
			check.reject(p.name, text.NotUTF8)
		case strings.ContainsRune(p.value, 0):
			check.reject(p.name, "must not contain a NUL character")
		}
	}
	switch f.Sort {
	case SortDefault, SortName, SortNameDown, SortPrice, SortPriceDown:
	default:
		check.reject("sort", "must be one of name, -name, price, -price")
	}
	return check.err()
}

// Filter returns the selected pizzas in a new list.
func (c *Catalog) Filter(f Filter) []Pizza {
	fold := folder()
	query, category, size := fold(f.Query), fold(f.Category), fold(f.Size)
	wanted := make(map[string]bool, len(c.Types))
	for _, t := range c.Types {
		wanted[t.ID] = (query == "" || strings.Contains(fold(t.Name), query)) && (category == "" || fold(t.Category) == category)
	}
	found := make([]Pizza, 0, len(c.Pizzas))
	for _, p := range c.Pizzas {
		if wanted[p.TypeID] && (size == "" || fold(p.Size) == size) {
			found = append(found, p)
		}
	}
	c.sort(found, f.Sort)
	return found
}

func (c *Catalog) sort(pizzas []Pizza, by Sort) {
	name := func(a, b Pizza) int { return strings.Compare(c.Type(a).Name, c.Type(b).Name) }
	price := func(a, b Pizza) int { return a.Price.Cmp(b.Price) }
	switch by {
	case SortName:
		slices.SortStableFunc(pizzas, name)
	case SortNameDown:
		slices.SortStableFunc(pizzas, func(a, b Pizza) int { return name(b, a) })
	case SortPrice:
		slices.SortStableFunc(pizzas, price)
	case SortPriceDown:
		slices.SortStableFunc(pizzas, func(a, b Pizza) int { return price(b, a) })
	case SortDefault:
	}
}

// folder returns a function that folds case and normalizes. It must not be shared between
// goroutines (a rule of cases.Caser).
func folder() func(string) string {
	fold := cases.Fold()
	return func(s string) string { return text.Normal(fold.String(text.Normal(s))) }
}
