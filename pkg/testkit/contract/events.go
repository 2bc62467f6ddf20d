package contract

import (
	"encoding/json"
	"fmt"
	"testing"
)

// Event is the part of a provider's event that a consumer reads.
type Event struct {
	named

	Type  string            `json:"type"`
	Body  any               `json:"body"` // the whole event, as JSON
	Match map[string]string `json:"match,omitempty"`
}

// Announce tests a provider's events against the contracts in a folder. heard has
// one real event of each type, as JSON. Announce fails t for an expected type that
// was not heard, and for a type that no contract expects.
func Announce(t *testing.T, folder string, heard map[string][]byte) {
	t.Helper()
	expected := map[string]bool{}
	for _, c := range readAll(t, folder) {
		for _, e := range c.Events {
			expected[e.Type] = true
			if err := e.Verify(heard[e.Type]); err != nil {
				t.Error(err)
			}
		}
	}
	pair(t, "events", expected, heard)
}

// Verify returns an error for all that the consumer would miss in a real event.
func (e *Event) Verify(body []byte) error {
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return e.failure(fmt.Errorf("body: %w", err))
	}
	return e.failure(match(e.Match, map[string]any{"body": e.Body}, map[string]any{"body": got}))
}

// Hear tests a consumer against the events of a contract. checks has one check per
// event, by name, which passes the event to the real consumer.
func (c *Contract) Hear(t *testing.T, checks map[string]func(t *testing.T, body []byte)) {
	t.Helper()
	written := map[string]func(testing.TB) []byte{}
	for _, e := range c.Events {
		written[e.Name] = func(testing.TB) []byte { return []byte(show(e.Body)) }
	}
	check(t, written, checks)
}
