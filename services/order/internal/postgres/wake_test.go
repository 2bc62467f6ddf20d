package postgres

import (
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
)

// Each placed order wakes the relay, and nothing else does.
func TestInsertWakesTheRelay(t *testing.T) {
	t.Parallel()
	woken := 0
	store := NewStore(openPool(t, pgtest.Config(t, migrationstest.NewSeeded(t).URL("order_svc")), 1), func() { woken++ })
	for _, step := range []struct {
		id, key, pizza string
		want           int
	}{
		{"1", "k", "bbq_ckn_s", 1},
		{"2", "k", "bbq_ckn_s", 1}, // the key is taken
		{"3", "l", "nothing", 1},   // no such pizza
		{"4", "m", "bbq_ckn_s", 2},
	} {
		err := store.Insert(t.Context(), as("ada"), newOrder(step.id, step.pizza), receipt(step.key, step.id))
		if woken != step.want {
			t.Errorf("order %s: woken %d times, want %d; %v", step.id, woken, step.want, err)
		}
	}
}
