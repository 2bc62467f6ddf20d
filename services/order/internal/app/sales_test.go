package app_test

import (
	"net/http"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

// A sale is counted once; an order that is not placed is not counted.
func TestSalesAreCounted(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	minji := s.as(t, "minji")
	const body = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2},{"pizza_id":"hawaiian_s","quantity":1}]}`
	mustBeFirst(t, s.orderOnce(t, minji, body))
	s.orderOnce(t, minji, body)
	apitest.Decode[api.PlacedOrder](t, s.order(t, minji, `{"branchId":"BRANCH002","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`), http.StatusCreated)
	s.order(t, minji, `{"branchId":"BRANCH002","expected_total":1,"lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`)
	s.order(t, minji, `{"branchId":"NOWHERE","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`)
	for name, want := range map[string]float64{
		`order_placed_total{branch="BRANCH001"}`:  1,
		`order_revenue_total{branch="BRANCH001"}`: 52,
		`order_placed_total{branch="BRANCH002"}`:  1,
		`order_revenue_total{branch="BRANCH002"}`: 20.75,
		"order_placed_lines_total":                3,
		"order_placed_pizzas_total":               4,
	} {
		if got := s.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
