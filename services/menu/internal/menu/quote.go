package menu

import "fmt"

// MaxLines is the maximum number of lines of a quote: that of an order, which prices
// lines by the same rules from its own copy of the catalog.
const MaxLines = 50

// Line identifies a pizza by id, or else by name and size.
type Line struct {
	PizzaID string
	Name    string
	Size    string
}

// Quoted is the price of a line, or the reason for its absence.
type Quoted struct {
	Pizza Pizza
	Err   error // ErrUnknownPizza or ErrUnknownSize
}

// ValidateLines returns Invalid with every line that does not identify a pizza, and for a
// number of lines that no order has.
func ValidateLines(lines []Line) error {
	var check fields
	switch {
	case len(lines) == 0:
		check.reject("lines", "must have at least 1 line")
	case len(lines) > MaxLines:
		check.reject("lines", fmt.Sprintf("must have at most %d lines", MaxLines))
	default:
		for i, l := range lines {
			l.validate(fmt.Sprintf("lines[%d]", i), &check)
		}
	}
	return check.err()
}

func (l Line) validate(path string, check *fields) {
	switch {
	case l.PizzaID != "":
	case l.Name == "" && l.Size == "":
		check.reject(path, "must name a pizza: pizza_id, or pizza_nm and size")
	case l.Name == "":
		check.reject(path+".pizza_nm", "is required")
	case l.Size == "":
		check.reject(path+".size", "is required")
	}
}

// Quote prices the lines, in their order.
func (c *Catalog) Quote(lines []Line) []Quoted {
	quoted := make([]Quoted, len(lines))
	for i, l := range lines {
		quoted[i] = c.quote(l)
	}
	return quoted
}

func (c *Catalog) quote(l Line) Quoted {
	if l.PizzaID == "" {
		p, err := c.Find(l.Name, l.Size)
		return Quoted{p, err}
	}
	if p, ok := c.pizzas[l.PizzaID]; ok {
		return Quoted{Pizza: p}
	}
	return Quoted{Err: ErrUnknownPizza}
}
