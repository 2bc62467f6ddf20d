package menuclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"example.com/pizza/services/order/internal/menuclient/menuapi"
	"example.com/pizza/services/order/internal/order"
)

// Catalog returns everything that quotes are made of, as it is now. It returns
// Unavailable when menu does not give it.
func (c *Client) Catalog(ctx context.Context) (*order.Catalog, error) {
	send := func(ctx context.Context) (*http.Response, error) { return c.menu.GetCatalog(ctx) }
	return ask(ctx, c.guard, "catalog", send, func(resp *http.Response) (*order.Catalog, error) {
		answer, err := menuapi.ParseGetCatalogResponse(resp)
		if err != nil {
			return nil, err
		}
		if answer.JSON200 == nil {
			return nil, errors.New("there is no catalog")
		}
		return catalog(*answer.JSON200)
	})
}

// catalog returns an error where anything is missing: a pizza without a price
// must not become one for nothing, nor an answer that means something else a
// menu without pizzas.
func catalog(list menuapi.Catalog) (*order.Catalog, error) {
	if list.CatalogVersion == nil || list.Pizzas == nil || list.PizzaNms == nil {
		return nil, errors.New("version, pizzas or names are missing")
	}
	pizzas := make([]order.Pizza, len(*list.Pizzas))
	for i, p := range *list.Pizzas {
		if p.PizzaID == nil || p.PizzaNm == nil || p.Size == nil || p.UnitPrice == nil {
			return nil, fmt.Errorf("pizza %d has no id, name, size or price", i)
		}
		pizzas[i] = order.Pizza{ID: *p.PizzaID, Name: *p.PizzaNm, Size: *p.Size, Price: *p.UnitPrice}
	}
	return order.NewCatalog(*list.CatalogVersion, pizzas, *list.PizzaNms), nil
}
