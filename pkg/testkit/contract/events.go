package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// Event is the part of a provider's event that a consumer reads.
type Event struct {
	Name  string            `json:"name"`
	Type  string            `json:"type"`
	Body  any               `json:"body"` // the whole event, as JSON
	Match map[string]string `json:"match,omitempty"`

	between string
}

// Announce tests a provider's events against the contracts in a folder. heard has
// one real event of each type, as JSON. Announce fails t for an expected type that
// was not heard, and for a type that no contract expects.
func Announce(t *testing.T, folder string, heard map[string][]byte) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	expected := map[string]bool{}
	for _, file := range files {
		c, err := Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for n := range c.Events {
			e := &c.Events[n]
			expected[e.Type] = true
			if err := e.Verify(heard[e.Type]); err != nil {
				t.Error(err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(heard)) {
		if !expected[name] {
			t.Errorf("no consumer expects %q", name)
		}
	}
}

// Verify returns an error for all that the consumer would miss in a real event.
func (e *Event) Verify(body []byte) error {
	m, err := newMatcher(e.Match)
	if err != nil {
		return failure(e.between, e.Name, err)
	}
	var got any
	if body == nil {
		m.wrong("body", "no %s was heard", e.Type)
	} else if err := json.Unmarshal(body, &got); err != nil {
		m.wrong("body", "%v", err)
	} else {
		m.value("body", e.Body, got)
	}
	return failure(e.between, e.Name, m.problems...)
}

// Hear tests a consumer against the events of a contract. checks has one check per
// event, by name, which passes the event to the real consumer.
func (c *Contract) Hear(t *testing.T, checks map[string]func(t *testing.T, body []byte)) {
	t.Helper()
	names := map[string]bool{}
	for n := range c.Events {
		e := &c.Events[n]
		names[e.Name] = true
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			check, ok := checks[e.Name]
			if !ok {
				t.Fatal(failure(e.between, e.Name, fmt.Errorf("no check of %s has this name", c.Consumer)))
			}
			body, err := json.Marshal(e.Body)
			if err != nil {
				t.Fatal(err)
			}
			check(t, body)
		})
	}
	for name := range checks {
		if !names[name] {
			t.Errorf("%s → %s has no event %q", c.Consumer, c.Provider, name)
		}
	}
}

// readable checks that the example satisfies its own rules.
func (e *Event) readable() error {
	m, err := newMatcher(e.Match)
	if err != nil {
		return failure(e.between, e.Name, err)
	}
	m.value("body", e.Body, e.Body)
	m.unused()
	return failure(e.between, e.Name, m.problems...)
}
