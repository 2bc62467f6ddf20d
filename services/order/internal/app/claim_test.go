package app_test

import (
	"net/http"
	"slices"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

// The token identifies the member, not a header.
func TestNoClaimIsBelieved(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	const body = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
	ada := apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "ada"), body), http.StatusCreated)
	for _, name := range []string{"X-User-Id", "x-user-id", "X_User_Id", "X-USER_ID"} {
		claim := []string{name, "ada", "Content-Type", "application/json"}
		for _, r := range []struct{ method, path, body string }{
			{http.MethodPost, "/order/", body}, {http.MethodGet, "/order/myorder/", ""}, {http.MethodGet, "/order/" + ada.OrderID + "/", ""},
		} {
			apitest.Decode[problem.Problem](t, s.Call(t, r.method, r.path, r.body, claim...), http.StatusUnauthorized)
		}
		eve := slices.Concat(claim, member(s.as(t, "eve")))
		apitest.Decode[problem.Problem](t, s.Get(t, "/order/"+ada.OrderID+"/", eve...), http.StatusNotFound)
		placed := apitest.Decode[api.PlacedOrder](t, s.Call(t, http.MethodPost, "/order/", body, eve...), http.StatusCreated)
		apitest.Decode[api.Order](t, s.get(t, "/order/"+placed.OrderID+"/", s.as(t, "eve")), http.StatusOK)
	}
	if rows := apitest.Decode[[]api.OrderRow](t, s.get(t, "/order/myorder/", s.as(t, "ada")), http.StatusOK); len(rows) != 1 {
		t.Errorf("ada has %d rows, want the one of her order", len(rows))
	}
}
