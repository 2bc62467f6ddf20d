package system

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/money"
)

// acknowledged is an entry in the clients' log: an order that was answered with
// 201, and its idempotency key.
type acknowledged struct{ key, orderID string }

// stored is an order in the database.
type stored struct {
	total money.Amount
	lines []money.Amount // quantity times unit price
}

// books are the records of the same orders by clients, tables and events.
type books struct {
	acknowledged []acknowledged
	stored       map[string]stored          // by order id
	announced    map[string]map[string]bool // event ids by order id
}

// balance is the result of the reconciliation.
type balance struct {
	Acknowledged int
	Stored       int
	Announced    int
	Wrong        []string // each names the problem and the order
}

// settle reconciles the acknowledged orders with the tables and the events.
// Every key has one order. Every order was acknowledged, is stored, adds up, and
// was announced by one event, possibly redelivered.
func (b books) settle() balance {
	out := balance{Stored: len(b.stored), Announced: len(b.announced)}
	wrong := func(format string, args ...any) { out.Wrong = append(out.Wrong, fmt.Sprintf(format, args...)) }
	byKey, known := map[string]string{}, map[string]bool{}
	for _, a := range b.acknowledged {
		if first, ok := byKey[a.key]; ok && first != a.orderID {
			wrong("duplicated: key %s placed %s and %s", a.key, first, a.orderID)
		}
		byKey[a.key] = a.orderID
		if _, ok := b.stored[a.orderID]; !ok && !known[a.orderID] {
			wrong("lost: %s was acknowledged and is not stored", a.orderID)
		}
		known[a.orderID] = true
	}
	out.Acknowledged = len(known)
	for _, id := range slices.Sorted(maps.Keys(b.stored)) {
		o := b.stored[id]
		if !known[id] {
			wrong("duplicated: %s is stored but was never acknowledged", id)
		}
		if len(b.announced[id]) == 0 {
			wrong("lost: %s is stored and was not announced", id)
		}
		var sum money.Amount
		for _, l := range o.lines {
			sum = sum.Add(l)
		}
		if len(o.lines) == 0 || !sum.Equal(o.total) {
			wrong("broken: the lines of %s add up to %s, its total is %s", id, sum, o.total)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(b.announced)) {
		if _, ok := b.stored[id]; !ok {
			wrong("invented: %s was announced and is not stored", id)
		}
		if n := len(b.announced[id]); n > 1 {
			wrong("duplicated: %s was announced as %d events", id, n)
		}
	}
	return out
}

// outcome is a row of the final report.
type outcome struct {
	fault  string
	strike string // what was injected, and how often
	tries  int64  // requests sent
	balance
}

// count returns the number of problems of a kind.
func (o outcome) count(kind string) (n int) {
	for _, w := range o.Wrong {
		if strings.HasPrefix(w, kind+": ") {
			n++
		}
	}
	return n
}

// report returns the table of faults and outcomes.
func report(outcomes []outcome) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "fault\tstruck\trequests\tacknowledged\tstored\tannounced\tduplicated\tlost\tother")
	for _, o := range outcomes {
		duplicated, lost := o.count("duplicated"), o.count("lost")
		_, _ = fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", o.fault, o.strike, o.tries,
			o.Acknowledged, o.Stored, o.Announced, duplicated, lost, len(o.Wrong)-duplicated-lost)
	}
	_ = table.Flush() // a strings.Builder never fails
	return b.String()
}

// TestSettle checks that every kind of problem is detected and named.
func TestSettle(t *testing.T) {
	t.Parallel()
	five := money.MustParse("5")
	order := stored{money.MustParse("10"), []money.Amount{five, five}}
	event := func(ids ...string) map[string]bool {
		all := map[string]bool{}
		for _, id := range ids {
			all[id] = true
		}
		return all
	}
	for name, test := range map[string]struct {
		books
		want []string
	}{
		"in_balance": {books{
			[]acknowledged{{"k", "a"}, {"k", "a"}, {"l", "b"}},
			map[string]stored{"a": order, "b": order}, map[string]map[string]bool{"a": event("1"), "b": event("2")},
		}, nil},
		"acknowledged_and_lost": {books{
			[]acknowledged{{"k", "a"}}, nil, nil,
		}, []string{"lost: a was acknowledged and is not stored"}},
		"two_orders_of_a_key": {books{
			[]acknowledged{{"k", "a"}, {"k", "b"}},
			map[string]stored{"a": order, "b": order}, map[string]map[string]bool{"a": event("1"), "b": event("2")},
		}, []string{"duplicated: key k placed a and b"}},
		"an_order_too_many": {books{
			[]acknowledged{{"k", "a"}},
			map[string]stored{"a": order, "b": order}, map[string]map[string]bool{"a": event("1"), "b": event("2")},
		}, []string{"duplicated: b is stored but was never acknowledged"}},
		"not_announced": {books{
			[]acknowledged{{"k", "a"}}, map[string]stored{"a": order}, nil,
		}, []string{"lost: a is stored and was not announced"}},
		"announced_twice": {books{
			[]acknowledged{{"k", "a"}}, map[string]stored{"a": order}, map[string]map[string]bool{"a": event("1", "2")},
		}, []string{"duplicated: a was announced as 2 events"}},
		"announced_for_nothing": {books{
			nil, nil, map[string]map[string]bool{"a": event("1")},
		}, []string{"invented: a was announced and is not stored"}},
		"does_not_add_up": {books{
			[]acknowledged{{"k", "a"}}, map[string]stored{"a": {five, order.lines}}, map[string]map[string]bool{"a": event("1")},
		}, []string{"broken: the lines of a add up to 10.00, its total is 5.00"}},
		"without_lines": {books{
			[]acknowledged{{"k", "a"}}, map[string]stored{"a": {}}, map[string]map[string]bool{"a": event("1")},
		}, []string{"broken: the lines of a add up to 0.00, its total is 0.00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, test.settle().Wrong); diff != "" {
				t.Error(diff)
			}
		})
	}
}
