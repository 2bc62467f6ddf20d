package order

import "example.com/pizza/pkg/money"

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

// label is how people name a pizza.
type label struct{ name, size string }

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
		l := label{p.Name, p.Size}
		if first, taken := c.byLabel[l]; !taken || p.ID < first.ID {
			c.byLabel[l] = p
		}
	}
	for _, name := range names {
		c.names[name] = true
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
	p, found := c.byID[l.PizzaID]
	if l.PizzaID == "" {
		p, found = c.byLabel[label{l.Name, l.Size}]
	}
	switch {
	case found:
		return Price{PizzaID: p.ID, Unit: p.Price}
	case l.PizzaID == "" && c.names[l.Name]:
		return Price{Refused: UnknownSize}
	default:
		return Price{Refused: UnknownPizza}
	}
}
