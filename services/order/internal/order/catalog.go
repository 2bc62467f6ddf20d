package order

import (
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/text"
)

// What is wrong with a line that has no price.
const (
	UnknownPizza = "is no pizza on the menu"
	UnknownSize  = "is not sold in this size"
)

// Pizza is what the menu sells, in one size.
type Pizza struct {
	ID    string
	Name  string
	Size  string
	Price money.Amount
}

// Catalog is the whole menu at one version. It prices lines exactly as the menu
// does: what is exact about that is in the description of menu's operation
// GetCatalog. It never changes.
type Catalog struct {
	Version int64
	Tag     string // by which menu knows the catalog again; empty where nobody asks

	byID    map[string]Pizza
	byLabel map[label]Pizza
	names   map[string]bool
}

// label is how people name a pizza, in the form in which texts are compared.
type label struct{ name, size string }

func labelOf(name, size string) label {
	return label{text.Key(name, maxPizzaText), text.Key(size, maxPizzaText)}
}

// NewCatalog returns the catalog of these pizzas. names are those that the menu
// knows, also where it sells nothing of that name.
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
