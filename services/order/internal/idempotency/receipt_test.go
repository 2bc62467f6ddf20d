package idempotency_test

import (
	"fmt"
	"testing"

	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// Equal orders have the same fingerprint, and different orders have different ones.
func TestFingerprint(t *testing.T) {
	t.Parallel()
	amount := func(s string) *money.Amount {
		a := money.MustParse(s)
		return &a
	}
	sample := func(change func(*order.NewOrder)) order.NewOrder {
		n := order.NewOrder{BranchID: "b", ExpectedTotal: amount("20.5"), Lines: []order.NewLine{
			{PizzaID: "p", Quantity: quantity(1)}, {Name: "n", Size: "L", Quantity: quantity(2)},
		}}
		change(&n)
		return n
	}
	fingerprint := func(t *testing.T, change func(*order.NewOrder)) idempotency.Fingerprint {
		t.Helper()
		f, err := idempotency.FingerprintOf(sample(change))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	first := fingerprint(t, func(*order.NewOrder) {})
	for name, change := range map[string]func(*order.NewOrder){
		"spelling_of_amount": func(n *order.NewOrder) { n.ExpectedTotal = amount("20.50") },
	} {
		if fingerprint(t, change) != first {
			t.Errorf("%s makes it another order", name)
		}
	}
	// Receipts outlive a release: changing this value rejects retries with 422
	// during the rollout.
	if got, want := fmt.Sprintf("%x", first), "3b28fcf6e3c4a563d3efbb3b835859995a3b4e87f74a8b2120c0fe6f12f72a45"; got != want {
		t.Errorf("the fingerprint is %s, was %s", got, want)
	}
	seen := map[idempotency.Fingerprint]string{first: "the first"}
	for name, change := range map[string]func(*order.NewOrder){
		"branch":         func(n *order.NewOrder) { n.BranchID = "c" },
		"no_total":       func(n *order.NewOrder) { n.ExpectedTotal = nil },
		"zero_total":     func(n *order.NewOrder) { n.ExpectedTotal = amount("0") },
		"total":          func(n *order.NewOrder) { n.ExpectedTotal = amount("20.51") },
		"quantity":       func(n *order.NewOrder) { n.Lines[0].Quantity = quantity(2) },
		"pizza":          func(n *order.NewOrder) { n.Lines[0].PizzaID = "q" },
		"name_for_id":    func(n *order.NewOrder) { n.Lines[0].PizzaID, n.Lines[0].Name = "", "p" },
		"size":           func(n *order.NewOrder) { n.Lines[1].Size = "S" },
		"order_of_lines": func(n *order.NewOrder) { n.Lines[0], n.Lines[1] = n.Lines[1], n.Lines[0] },
		"fewer_lines":    func(n *order.NewOrder) { n.Lines = n.Lines[:1] },
		"border_of_text": func(n *order.NewOrder) { n.Lines[1].Name, n.Lines[1].Size = "nL", "" },
	} {
		f := fingerprint(t, change)
		if other, there := seen[f]; there {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[f] = name
	}
}

func quantity(n int) *int { return &n }
