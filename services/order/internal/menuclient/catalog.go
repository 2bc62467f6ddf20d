package menuclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"example.com/pizza/pkg/problem"
	"example.com/pizza/services/order/internal/menuclient/menuapi"
	"example.com/pizza/services/order/internal/order"
)

// Catalog returns menu's whole catalog, including every change that was committed
// before the call, or held itself if nothing has changed. held may be nil. It
// returns Unavailable if menu does not answer.
func (c *Client) Catalog(ctx context.Context, held *order.Catalog) (*order.Catalog, error) {
	var known menuapi.GetCatalogParams
	if held != nil && held.Tag != "" {
		known.IfNoneMatch = &held.Tag
	}
	var latest *order.Catalog
	err := c.caller.call(ctx, "catalog", func(ctx context.Context) error {
		resp, err := c.menu.GetCatalog(ctx, &known)
		if err != nil {
			return connectionFailure(ctx, err)
		}
		body, err := readAll(resp)
		if err != nil {
			return connectionFailure(ctx, err)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		switch {
		case resp.StatusCode == http.StatusNotModified && known.IfNoneMatch != nil:
			latest = held
			return nil
		case resp.StatusCode != http.StatusOK:
			return errorAnswer(resp.StatusCode, problem.Read(resp))
		case len(body) > maxAnswer:
			return &failure{outcome: unreadable, err: fmt.Errorf("menu's answer is over %d bytes", maxAnswer)}
		}
		if latest, err = read(resp); err != nil {
			return &failure{outcome: unreadable, err: fmt.Errorf("menu's answer: %w", err)}
		}
		return nil
	})
	if err != nil {
		return nil, away(err)
	}
	return latest, nil
}

// read decodes an answer with status 200 whose body is in memory.
func read(resp *http.Response) (*order.Catalog, error) {
	answer, err := menuapi.ParseGetCatalogResponse(resp)
	if err != nil {
		return nil, err
	}
	if answer.JSON200 == nil {
		return nil, errors.New("there is no catalog")
	}
	c, err := catalog(*answer.JSON200)
	if err != nil {
		return nil, err
	}
	c.Tag = resp.Header.Get("ETag")
	return c, nil
}

// catalog converts the answer, and fails if anything is missing: a pizza without a
// price must not become free, and another document must not become an empty menu.
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
