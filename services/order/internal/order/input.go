package order

import (
	"fmt"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/text"
)

// The limits of an order.
const (
	MaxLines    = 50
	MaxQuantity = 99

	maxBranchID  = 100 // characters, as in the table
	maxPizzaText = 50  // characters of an id, name or size, as in the tables
)

// NewOrder is an order that a member wants to place.
type NewOrder struct {
	BranchID      string
	Lines         []NewLine
	ExpectedTotal *money.Amount // total that was shown to the member; nil if none was sent
}

// NewLine identifies one pizza, by id or else by name and size.
type NewLine struct {
	PizzaID  string
	Name     string
	Size     string
	Quantity *int // nil if it was not sent
}

// Validate returns Invalid with every bad field, or nil.
func (n NewOrder) Validate() error {
	var bad []fault.Field
	reject := func(field, rule string) { bad = append(bad, fault.Field{Field: field, Message: rule}) }
	switch {
	case n.BranchID == "":
		reject("branchId", "is required")
	case text.TooLong(n.BranchID, maxBranchID):
		reject("branchId", text.LengthRule(maxBranchID))
	}
	switch {
	case len(n.Lines) == 0:
		reject("lines", "must have at least 1 line")
	case len(n.Lines) > MaxLines:
		reject("lines", fmt.Sprintf("must have at most %d lines", MaxLines))
	default:
		for i, l := range n.Lines {
			l.validate(LinePath(i), reject)
		}
	}
	if n.ExpectedTotal != nil && n.ExpectedTotal.Cmp(money.Amount{}) < 0 {
		reject("expected_total", "must not be negative")
	}
	if len(bad) > 0 {
		return fault.InvalidFields(bad...)
	}
	return nil
}

// LinePath returns the name of a line in errors.
func LinePath(i int) string { return fmt.Sprintf("lines[%d]", i) }

func (l NewLine) validate(path string, reject func(field, rule string)) {
	for _, f := range []struct{ name, value string }{{"pizza_id", l.PizzaID}, {"name", l.Name}, {"size", l.Size}} {
		if text.TooLong(f.value, maxPizzaText) {
			reject(path+"."+f.name, text.LengthRule(maxPizzaText))
		}
	}
	switch {
	case l.PizzaID != "":
	case l.Name == "" && l.Size == "":
		reject(path, "must name a pizza: pizza_id, or name and size")
	case l.Name == "":
		reject(path+".name", "is required")
	case l.Size == "":
		reject(path+".size", "is required")
	}
	switch {
	case l.Quantity == nil:
		reject(path+".quantity", "is required")
	case *l.Quantity < 1 || *l.Quantity > MaxQuantity:
		reject(path+".quantity", fmt.Sprintf("must be from 1 to %d", MaxQuantity))
	}
}
