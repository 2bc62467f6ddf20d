package menuclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/sony/gobreaker/v2"

	"example.com/pizza/pkg/problem"
	"example.com/pizza/services/order/internal/menuclient/menuapi"
	"example.com/pizza/services/order/internal/order"
)

// Catalog returns everything that quotes are made of, as it is now. It returns
// Unavailable when menu does not answer in time, answers nonsense, or the
// breaker is open.
func (c *Client) Catalog(ctx context.Context) (*order.Catalog, error) {
	var read *order.Catalog
	_, err := c.breaker.Execute(func() (_ []order.Price, err error) {
		read, err = c.catalog(ctx)
		return nil, err
	})
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, away(err)
	}
	return read, err
}

func (c *Client) catalog(ctx context.Context) (*order.Catalog, error) {
	resp, err := c.menu.GetCatalog(ctx)
	if err != nil {
		return nil, away(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is lost when a body that was read cannot be closed
	if resp.StatusCode != http.StatusOK {
		return nil, away(problem.Read(resp))
	}
	answer, err := menuapi.ParseGetCatalogResponse(resp)
	switch {
	case err != nil:
		return nil, away(fmt.Errorf("read menu's catalog: %w", err))
	case answer.JSON200 == nil || answer.JSON200.CatalogVersion < 1:
		return nil, away(errors.New("menu's catalog is none"))
	}
	return catalog(*answer.JSON200), nil
}
