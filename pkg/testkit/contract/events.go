package contract

import (
	"encoding/json"
	"fmt"
	"testing"
)

// Event is what a consumer reads of an event that the provider announces.
type Event struct {
	named

	Type  string            `json:"type"`
	Body  any               `json:"body"` // the whole event, as JSON
	Match map[string]string `json:"match,omitempty"`
}

// Announce holds a provider to what the contracts in a folder expect of its
// events. heard has one real event of each type, as JSON. It fails t for a type
// that is expected and was not heard, and for one that nobody expects.
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

// Verify returns what the consumer would miss in a real event.
func (e *Event) Verify(body []byte) error {
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return e.failure(fmt.Errorf("body: %w", err))
	}
	return e.failure(match(e.Match, map[string]any{"body": e.Body}, map[string]any{"body": got}))
}

// Hear holds a consumer to the events of a contract: for each there is a check, by
// its name, that gives the event to the real consumer.
func (c *Contract) Hear(t *testing.T, checks map[string]func(t *testing.T, body []byte)) {
	t.Helper()
	written := map[string]func(testing.TB) []byte{}
	for _, e := range c.Events {
		written[e.Name] = func(testing.TB) []byte { return []byte(show(e.Body)) }
	}
	check(t, written, checks)
}
