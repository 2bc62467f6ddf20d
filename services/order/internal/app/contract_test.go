package app_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/contract"
	"example.com/pizza/services/order/api"
)

const consumers = "../../api/consumers"

// TestContracts verifies order, with the real menu, against its consumers'
// contracts.
func TestContracts(t *testing.T) {
	const bbq = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2}]}`
	// after returns the state after these orders of kim.
	after := func(orders ...string) contract.State {
		return func(t *testing.T) contract.Provider {
			db := migrationstest.NewSeeded(t)
			s := startCached(t, db, startMenu(t, db))
			p := contract.Provider{Service: s.Service, Values: map[string]string{"token": s.as(t, "kim")}}
			for _, order := range orders {
				placed := apitest.Decode[api.PlacedOrder](t, s.order(t, p.Values["token"], order), http.StatusCreated)
				p.Values["order_id"] = placed.OrderID
			}
			return p
		}
	}
	contract.Provide(t, consumers, api.Document, map[string]contract.State{
		"kim is logged in":           after(),
		"kim has ordered two pizzas": after(bbq),
		"kim has ordered twice":      after(bbq, bbq),
		"kim has logged out": func(t *testing.T) contract.Provider {
			db := migrationstest.NewSeeded(t)
			s := startCached(t, db, startMenu(t, db))
			return contract.Provider{Service: s.Service, Values: map[string]string{"token": s.revoked(t, db, "kim")}}
		},
		"the menu is away": func(t *testing.T) contract.Provider {
			s := startCached(t, migrationstest.NewSeeded(t), "http://127.0.0.1:1") // nothing listens here
			return contract.Provider{Service: s.Service, Values: map[string]string{"token": s.as(t, "kim")}}
		},
	})
}

// TestContractsOfEvents does the same for the events of order, as read from the
// real transport.
func TestContractsOfEvents(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	c, err := config.Load[connect.Config](nil)
	if err != nil {
		t.Fatal(err)
	}
	s := startCached(t, db, startMenu(t, db))
	const order = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2},{"pizza_id":"hawaiian_s","quantity":1}]}`
	apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "kim"), order), http.StatusCreated)
	e := <-consume(t, db, c)
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	contract.Announce(t, consumers, map[string][]byte{e.Type: body})
}
