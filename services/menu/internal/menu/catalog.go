// Package menu is the catalog of the shop: what pizzas there are, how they are
// found, and what they cost.
//
// A Catalog is the whole menu at one version, and never changes. Everything
// that is read (the list, the look-up, the quote) is a pure function of one, so
// that an answer never mixes two versions. A change goes past it, through the
// Store, which makes the next version.
package menu

import (
	"cmp"
	"slices"
	"strings"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/text"
)

// Type is what the menu calls a pizza, in all its sizes.
type Type struct {
	ID       string
	Name     string
	Category string
	Image    string // path relative to where the images are served
}

// Pizza is one size of a type: the thing that is sold.
type Pizza struct {
	ID     string
	TypeID string
	Size   string
	Price  money.Amount
}

// Catalog is the menu at one version. Do not change what it holds.
type Catalog struct {
	Version int64
	Mark    Mark    // empty where nobody asks
	Types   []Type  // by id
	Pizzas  []Pizza // by type, size, id

	types   map[string]Type
	pizzas  map[string]Pizza
	byLabel map[label]Pizza
	names   map[string]bool
}

// Mark names one version of the catalog in one database.
type Mark struct {
	ID  string // of this version, and of no other in any database
	Key []byte // secret that authenticates copies of the catalog
}

// label is how people name a pizza, in the form in which texts are compared.
type label struct{ name, size string }

func labelOf(name, size string) label { return label{text.Key(name, maxText), text.Key(size, maxText)} }

// SameText reports whether two names or sizes are the same, however a keyboard
// spells them.
func SameText(a, b string) bool { return text.Key(a, maxText) == text.Key(b, maxText) }

// NewCatalog returns the catalog of these types and pizzas. A pizza whose type
// is not among them is left out.
func NewCatalog(version int64, types []Type, pizzas []Pizza) *Catalog {
	c := &Catalog{
		Version: version,
		Types:   slices.SortedFunc(slices.Values(types), func(a, b Type) int { return strings.Compare(a.ID, b.ID) }),
		types:   make(map[string]Type, len(types)),
		pizzas:  make(map[string]Pizza, len(pizzas)),
		byLabel: make(map[label]Pizza, len(pizzas)),
		names:   make(map[string]bool, len(types)),
	}
	for _, t := range types {
		c.types[t.ID] = t
		c.names[text.Key(t.Name, maxText)] = true
	}
	for _, p := range pizzas {
		t, ok := c.types[p.TypeID]
		if !ok {
			continue
		}
		c.Pizzas = append(c.Pizzas, p)
		c.pizzas[p.ID] = p
		// A taken-over catalog may hold a label twice: the lowest id has it.
		l := labelOf(t.Name, p.Size)
		if first, taken := c.byLabel[l]; !taken || p.ID < first.ID {
			c.byLabel[l] = p
		}
	}
	slices.SortFunc(c.Pizzas, func(a, b Pizza) int {
		return cmp.Or(
			strings.Compare(a.TypeID, b.TypeID), cmp.Compare(sizeRank(a.Size), sizeRank(b.Size)),
			strings.Compare(a.Size, b.Size), strings.Compare(a.ID, b.ID),
		)
	})
	return c
}

// sizeRank orders the usual sizes from small to large, and others after them.
func sizeRank(size string) int {
	usual := [...]string{"S", "M", "L", "XL", "XXL"}
	if i := slices.Index(usual[:], size); i >= 0 {
		return i
	}
	return len(usual)
}

// Type returns the type of a pizza of this catalog.
func (c *Catalog) Type(p Pizza) Type { return c.types[p.TypeID] }

// Why a pizza is not found; each is a fault.NotFound.
var (
	ErrUnknownPizza = fault.New(fault.NotFound, "there is no such pizza on the menu")
	ErrUnknownSize  = fault.New(fault.NotFound, "this pizza is not sold in this size")
)

// Find returns the pizza with this name and size, both matched exactly but for the
// way in which they are encoded (package text). It returns ErrUnknownPizza or
// ErrUnknownSize.
func (c *Catalog) Find(name, size string) (Pizza, error) {
	l := labelOf(name, size)
	if p, ok := c.byLabel[l]; ok {
		return p, nil
	}
	if c.names[l.name] {
		return Pizza{}, ErrUnknownSize
	}
	return Pizza{}, ErrUnknownPizza
}
