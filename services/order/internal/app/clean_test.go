package app_test

import (
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/menuclient"
)

// An expired key is free again once it is cleaned up. Until then it repeats the
// response: a second order would be worse than a late response.
func TestKeyPastItsTime(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	menu := startMenu(t, db)
	replica := func(every time.Duration) *service {
		return startWith(t, app.Config{
			DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menu, Timeout: 2 * time.Second},
			Idempotency: idempotency.Config{TTL: time.Hour, Every: every},
		})
	}
	s := replica(time.Hour)
	conn := admin(t, db)
	bearer := s.as(t, "ada")
	first := s.orderOnce(t, bearer, bbq)
	mustBeFirst(t, first)
	mustRepeat(t, first, s.orderOnce(t, bearer, bbq))

	if _, err := conn.Exec(t.Context(), "UPDATE idempotency_key SET created_at = now() - interval '61 minutes'"); err != nil {
		t.Fatal(err)
	}
	mustRepeat(t, first, s.orderOnce(t, bearer, bbq))
	cleaning := replica(time.Millisecond)
	eventually(t, "the key is deleted", func() bool {
		return cleaning.metric(t, "order_idempotency_keys_pruned_total") == 1
	})
	mustBeFirst(t, s.orderOnce(t, bearer, bbq))
	orders, _ := kept(t, conn)
	if orders != 2 {
		t.Errorf("%d orders", orders)
	}
}
