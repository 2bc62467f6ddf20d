// Package menu is the catalog of the shop: its pizzas, how to find them, and their prices.
//
// A Catalog is the whole menu at one version, and immutable. Every read (the list, the
// look-up, the quote) is a pure function of one catalog, so an answer never mixes two
// versions. A change goes through the Store, which creates the next version.
package menu

import (
	"cmp"
	"slices"
	"strings"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/text"
)

// Type is a kind of pizza, in all its sizes.
type Type struct {
	ID       string
	Name     string
	Category string
	Image    string // path relative to the address of images
}

// Pizza is one size of a type.
type Pizza struct {
	ID     string
	TypeID string
	Size   string
	Price  money.Amount
}

// Catalog is the menu at one version. Its contents must not be changed.
type Catalog struct {
	Version int64
	Mark    Mark    // empty if the catalog is not shared
	Types   []Type  // by id
	Pizzas  []Pizza // by type, size, id

	types   map[string]Type
	pizzas  map[string]Pizza
	byLabel map[label]Pizza
	names   map[string]bool
}

// Mark identifies one version of the catalog in one database.
type Mark struct {
	ID  string // unique over all versions and databases
	Key []byte // secret that authenticates copies of the catalog
}

// label identifies a pizza by name and size, normalized for comparison.
type label struct{ name, size string }

func labelOf(name, size string) label { return label{text.Key(name, maxText), text.Key(size, maxText)} }

// SameText reports whether two names or sizes are equal after normalization.
func SameText(a, b string) bool { return text.Key(a, maxText) == text.Key(b, maxText) }

// NewCatalog returns the catalog of these types and pizzas. It leaves out pizzas of other
// types.
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
		// A catalog of the old system may have a label twice: the lowest id gets it.
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

// sizeRank orders the usual sizes from small to large, before all others.
func sizeRank(size string) int {
	usual := [...]string{"S", "M", "L", "XL", "XXL"}
	if i := slices.Index(usual[:], size); i >= 0 {
		return i
	}
	return len(usual)
}

// Type returns the type of a pizza of this catalog.
func (c *Catalog) Type(p Pizza) Type { return c.types[p.TypeID] }

// The reasons why a pizza is not found. Each is a fault.NotFound.
var (
	ErrUnknownPizza = fault.New(fault.NotFound, "there is no such pizza on the menu")
	ErrUnknownSize  = fault.New(fault.NotFound, "this pizza is not sold in this size")
)

// Find returns the pizza with this name and size, compared after normalization (package
// text). It returns ErrUnknownPizza and ErrUnknownSize.
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
