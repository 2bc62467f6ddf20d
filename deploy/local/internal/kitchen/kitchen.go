// Package kitchen prints a ticket for each order that is placed: an example of
// a consumer of order.created.
//
// Being a consumer takes three things: a durable name, so that orders placed
// while the kitchen was closed are there when it opens; a handler that returns
// an error when it could not do its work, so that the event comes again; and a
// memory of event ids, because an event can come twice. Here the memory is the
// process's, which is good enough for paper. What writes to a database uses
// events.Inbox instead.
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

// consumer is the kitchen's durable name.
const consumer = "kitchen"

// remembered is how many event ids the kitchen knows.
const remembered = 1000

// Kitchen prints tickets.
type Kitchen struct {
	mu    sync.Mutex
	out   io.Writer
	known map[string]bool
	order []string // of known, oldest first
}

// New returns a kitchen that prints on out.
func New(out io.Writer) *Kitchen { return &Kitchen{out: out, known: map[string]bool{}} }

// Run prints the tickets of all orders until ctx ends.
func (k *Kitchen) Run(ctx context.Context, from events.Transport) error {
	return from.Subscribe(ctx, consumer, []string{"order.created"}, k.Take)
}

// placed is what the kitchen needs to know of an order. The whole message is in
// the order service's AsyncAPI document.
type placed struct {
	OrderID string `json:"order_id"`
	Branch  string `json:"bran_id"`
	Lines   []struct {
		Pizza    string `json:"pizza_id"`
		Quantity int    `json:"quantity"`
	} `json:"lines"`
}

// Take prints the ticket of one order, unless it did so before.
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

// ticket returns the text of a ticket. Whoever can publish an event chooses what
// is in it, so no text of it reaches the terminal or the printer unescaped.
func ticket(o placed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kitchen %s  order %s\n", console.Clean(o.Branch), console.Clean(o.OrderID))
	for _, l := range o.Lines {
		fmt.Fprintf(&b, "  %2d x %s\n", l.Quantity, console.Clean(l.Pizza))
	}
	return b.String()
}
