// Package httpapi serves the menu service's HTTP operations. A handler reads the
// generated request, calls the menu.Service, and returns the generated answer.
// Package server answers errors.
//
// The three complete lists are encoded and compressed once per catalog, and their
// ETags are derived from the bytes. Filtered lists are encoded for each request.
package httpapi

import (
	"context"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/server"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

// Handler implements the generated server interface.
type Handler struct {
	menu  *menu.Service
	whole *prepared
	audit *audit.Log
}

// Register puts the operations on the server's ports. Only operators change the
// catalog.
func Register(s *server.Server, m *menu.Service, operators server.Admin) error {
	admin := []echo.MiddlewareFunc{operators.Require(s.Audit())}
	conditional := []echo.MiddlewareFunc{joinLists}
	api.RegisterHandlersWithOptions(s.Router(), api.NewStrictHandler(&Handler{m, &prepared{}, s.Audit()}, nil), api.RegisterHandlersOptions{
		OperationMiddlewares: map[string][]echo.MiddlewareFunc{
			"ListMenu": conditional, "ListPizzaTypes": conditional, "GetCatalog": conditional,
			"PutPizzaType": admin, "DeletePizzaType": admin, "PutPizza": admin, "DeletePizza": admin,
		},
	})
	s.CheckBodies(rules)
	return s.ServeDocument("menu", api.Document)
}

// ListMenu answers GET /menu/.
func (h *Handler) ListMenu(ctx context.Context, r api.ListMenuRequestObject) (api.ListMenuResponseObject, error) {
	filter := menu.Filter{
		Query: text(r.Params.Q), Category: text(r.Params.Category), Size: text(r.Params.Size), Sort: menu.Sort(text(r.Params.Sort)),
	}
	pizzas, catalog, err := h.menu.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	var d document
	if filter == (menu.Filter{}) {
		d, err = h.whole.menu(catalog)
	} else {
		d, err = newDocument(pizzaList(catalog, pizzas))
	}
	return reply{d, text(r.Params.IfNoneMatch), text(r.Params.AcceptEncoding)}, err
}

// ListPizzaTypes answers GET /menu/types/.
func (h *Handler) ListPizzaTypes(ctx context.Context, r api.ListPizzaTypesRequestObject) (api.ListPizzaTypesResponseObject, error) {
	catalog, err := h.menu.CurrentOrStale(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.whole.types(catalog)
	return reply{d, text(r.Params.IfNoneMatch), text(r.Params.AcceptEncoding)}, err
}

// GetPizzaID answers POST /menu/get_pizza_id/.
func (h *Handler) GetPizzaID(ctx context.Context, r api.GetPizzaIDRequestObject) (api.GetPizzaIDResponseObject, error) {
	names := bind.Names{}
	p, err := h.menu.Find(ctx, readLookup(*r.Body, names))
	if err != nil {
		return nil, names.Restore(err)
	}
	return api.GetPizzaID200JSONResponse{PizzaID: p.ID}, nil
}

// Quote answers POST /int/menu/quote.
func (h *Handler) Quote(ctx context.Context, r api.QuoteRequestObject) (api.QuoteResponseObject, error) {
	quoted, version, err := h.menu.Quote(ctx, readLines(r.Body.Lines))
	if err != nil {
		return nil, err
	}
	return api.Quote200JSONResponse{CatalogVersion: version, Lines: quotedLines(quoted)}, nil
}

// GetCatalog answers GET /int/menu/catalog.
func (h *Handler) GetCatalog(ctx context.Context, r api.GetCatalogRequestObject) (api.GetCatalogResponseObject, error) {
	catalog, err := h.menu.Current(ctx)
	if err != nil {
		return nil, err
	}
	d, err := h.whole.prices(catalog)
	return reply{d, text(r.Params.IfNoneMatch), text(r.Params.AcceptEncoding)}, err
}
