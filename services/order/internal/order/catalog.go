package order

import (
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/text"
)

// The rules that a line without a price breaks.
const (
	UnknownPizza = "is not on the menu"
	UnknownSize  = "is not sold in this size"
)

// Pizza is a pizza of the menu in one size.
type Pizza struct {
	ID    string
	Name  string
	Size  string
	Price money.Amount
}

// Catalog is the whole menu at one version. It prices lines exactly as menu does, by
// the rules in the description of menu's operation GetCatalog. It is immutable.
type Catalog struct {
	Version int64
	Tag     string // ETag of the catalog at menu; empty if it has none

	byID    map[string]Pizza
	byLabel map[label]Pizza
	names   map[string]bool
}

// label identifies a pizza by name and size, normalized for comparison.
type label struct{ name, size string }

func labelOf(name, size string) label {
	return label{text.Key(name, maxPizzaText), text.Key(size, maxPizzaText)}
}

// NewCatalog returns the catalog of these pizzas. names are all names that the menu
// knows, including those of pizzas that it does not sell in any size.
func NewCatalog(version int64, pizzas []Pizza, names []string) *Catalog {
	c := &Catalog{
		Version: version,
		byID:    make(map[string]Pizza, len(pizzas)),
		byLabel: make(map[label]Pizza, len(pizzas)),
		names:   make(map[string]bool, len(names)),
	}
	for _, p := range pizzas {
		c.byID[p.ID] = p
		l := labelOf(p.Name, p.Size)
		if first, taken := c.byLabel[l]; !taken || p.ID < first.ID {
			c.byLabel[l] = p
		}
	}
	for _, name := range names {
		c.names[text.Key(name, maxPizzaText)] = true
	}
	return c
}

// Quote prices the lines, in their order.
func (c *Catalog) Quote(lines []NewLine) []Price {
	prices := make([]Price, len(lines))
	for i, l := range lines {
		prices[i] = c.quote(l)
	}
	return prices
}

func (c *Catalog) quote(l NewLine) Price {
	if l.PizzaID != "" {
		if p, found := c.byID[l.PizzaID]; found {
			return Price{PizzaID: p.ID, Unit: p.Price}
		}
		return Price{Refused: UnknownPizza}
	}
	asked := labelOf(l.Name, l.Size)
	p, found := c.byLabel[asked]
	switch {
	case found:
		return Price{PizzaID: p.ID, Unit: p.Price}
	case c.names[asked.name]:
		return Price{Refused: UnknownSize}
	default:
		return Price{Refused: UnknownPizza}
	}
}
