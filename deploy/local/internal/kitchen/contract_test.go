package kitchen_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"example.com/pizza/deploy/local/internal/kitchen"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/testkit/contract"
)

// TestContract checks that the kitchen prints a ticket for the message in its
// contract with order.
func TestContract(t *testing.T) {
	t.Parallel()
	c, err := contract.Read("../../../../services/order/api/consumers/kitchen.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c.Hear(t, map[string]func(*testing.T, []byte){"a ticket": func(t *testing.T, body []byte) {
		var e events.Event
		if err := json.Unmarshal(body, &e); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := kitchen.New(&out).Take(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want := "kitchen BRANCH001  order 0199f0c4-7a3e-7c7c-9a51-4b8f0a3f6f10\n   2 x bbq_ckn_l\n"
		if out.String() != want {
			t.Errorf("ticket %q, want %q", &out, want)
		}
	}})
}
