// Package httpapi answers the menu service's HTTP operations: it reads the
// generated request, calls the menu.Service, and writes the generated answer.
// Errors are returned as they are; package server answers them.
//
// The two lists are written once, as bytes: their ETag is made of the very
// bytes that are sent.
package httpapi

import (
	"context"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/server"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

// Handler implements the generated server interface.
type Handler struct{ menu *menu.Service }

// Register puts the operations on the server's ports. adminToken is what a
// caller has to show to change the catalog; empty lets nobody.
func Register(s *server.Server, m *menu.Service, adminToken string) error {
	admin := []echo.MiddlewareFunc{requireAdmin(adminToken)}
	conditional := []echo.MiddlewareFunc{joinIfNoneMatch}
	api.RegisterHandlersWithOptions(s.Router(), api.NewStrictHandler(&Handler{m}, nil), api.RegisterHandlersOptions{
		OperationMiddlewares: map[string][]echo.MiddlewareFunc{
			"ListMenu": conditional, "ListPizzaTypes": conditional,
			"PutPizzaType": admin, "DeletePizzaType": admin, "PutPizza": admin, "DeletePizza": admin,
		},
	})
	s.CheckBodies(rules)
	return s.ServeDocument("menu", api.Document)
}

// ListMenu answers GET /menu/.
func (h *Handler) ListMenu(ctx context.Context, r api.ListMenuRequestObject) (api.ListMenuResponseObject, error) {
	pizzas, catalog, err := h.menu.List(ctx, menu.Filter{
		Query: text(r.Params.Q), Category: text(r.Params.Category), Size: text(r.Params.Size), Sort: menu.Sort(text(r.Params.Sort)),
	})
	if err != nil {
		return nil, err
	}
	out := make([]api.Pizza, len(pizzas))
	for i, p := range pizzas {
		t := catalog.Type(p)
		out[i] = api.Pizza{
			PizzaID: p.ID, PizzaTypeID: t.ID, PizzaNm: t.Name, PizzaTypePizzaNm: t.Name,
			PizzaCateg: t.Category, PizzaImgURL: t.Image, Size: p.Size, Price: p.Price,
		}
	}
	return newDocument(out, text(r.Params.IfNoneMatch))
}

// ListPizzaTypes answers GET /menu/types/.
func (h *Handler) ListPizzaTypes(ctx context.Context, r api.ListPizzaTypesRequestObject) (api.ListPizzaTypesResponseObject, error) {
	catalog, err := h.menu.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]api.PizzaType, len(catalog.Types))
	for i, t := range catalog.Types {
		out[i] = pizzaType(t)
	}
	return newDocument(out, text(r.Params.IfNoneMatch))
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
