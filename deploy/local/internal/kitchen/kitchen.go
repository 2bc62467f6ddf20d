// Package kitchen prints a ticket for each placed order. It is an example of a
// consumer of order.created.
//
// A consumer needs three things: a durable name, so that it receives the orders
// placed while it was down; a handler that returns an error on failure, so that
// the event is redelivered; and a memory of event ids, because delivery is at
// least once. In-process memory is good enough for paper tickets. Consumers
// that write to a database use events.Inbox instead.
package kitchen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"

	"example.com/pizza/deploy/local/internal/console"
	"example.com/pizza/pkg/events"
)

// consumer is the kitchen's durable consumer name.
const consumer = "kitchen"

// remembered is the number of event ids that the kitchen keeps.
const remembered = 1000

// Kitchen prints tickets.
type Kitchen struct {
	mu    sync.Mutex
	out   io.Writer
	known map[string]bool
	order []string // of known, oldest first
}

// New returns a kitchen that prints to out.
func New(out io.Writer) *Kitchen { return &Kitchen{out: out, known: map[string]bool{}} }

// Run prints the tickets of all orders until ctx ends.
func (k *Kitchen) Run(ctx context.Context, from events.Transport) error {
	return from.Subscribe(ctx, consumer, []string{"order.created"}, k.Take)
}

// placed is the part of order.created that the kitchen needs. The full message
// is in the order service's AsyncAPI document.
type placed struct {
	OrderID string `json:"order_id"`
	Branch  string `json:"bran_id"`
	Lines   []struct {
		Pizza    string `json:"pizza_id"`
		Quantity int    `json:"quantity"`
	} `json:"lines"`
}

// Take prints the ticket of one order, unless it was already printed.
func (k *Kitchen) Take(_ context.Context, e events.Event) error {
	var o placed
	if err := json.Unmarshal(e.Data, &o); err != nil {
		return fmt.Errorf("kitchen: order.created: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known[e.ID] {
		return nil
	}
	if _, err := io.WriteString(k.out, ticket(o)); err != nil {
		return fmt.Errorf("kitchen: print the ticket: %w", err)
	}
	k.remember(e.ID)
	return nil
}

func (k *Kitchen) remember(id string) {
	if len(k.order) == remembered {
		delete(k.known, k.order[0])
		k.order = k.order[1:]
	}
	k.known[id] = true
	k.order = append(k.order, id)
}

// ticket returns the text of a ticket. Publishers control the text in an event,
// so it is escaped before it reaches the terminal or the printer.
func ticket(o placed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kitchen %s  order %s\n", console.Clean(o.Branch), console.Clean(o.OrderID))
	for _, l := range o.Lines {
		fmt.Fprintf(&b, "  %2d x %s\n", l.Quantity, console.Clean(l.Pizza))
	}
	return b.String()
}
