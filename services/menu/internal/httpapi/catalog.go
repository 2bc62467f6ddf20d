package httpapi

import (
	"context"

	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

// PutPizzaType answers PUT /int/menu/types/{id}.
func (h *Handler) PutPizzaType(ctx context.Context, r api.PutPizzaTypeRequestObject) (api.PutPizzaTypeResponseObject, error) {
	t := readType(r.ID, *r.Body)
	change, err := h.menu.PutType(ctx, t)
	if err != nil {
		return nil, err
	}
	h.audit.CatalogChanged(ctx, "put_type", t.ID, change.Version)
	if change.Created {
		return api.PutPizzaType201JSONResponse{
			Body: pizzaType(t), Headers: api.PutPizzaType201ResponseHeaders{CatalogVersion: change.Version},
		}, nil
	}
	return api.PutPizzaType200JSONResponse{
		Body: pizzaType(t), Headers: api.PutPizzaType200ResponseHeaders{CatalogVersion: change.Version},
	}, nil
}

// DeletePizzaType answers DELETE /int/menu/types/{id}.
func (h *Handler) DeletePizzaType(ctx context.Context, r api.DeletePizzaTypeRequestObject) (api.DeletePizzaTypeResponseObject, error) {
	change, err := h.menu.DeleteType(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	h.audit.CatalogChanged(ctx, "delete_type", r.ID, change.Version)
	return api.DeletePizzaType204Response{Headers: api.DeletePizzaType204ResponseHeaders{CatalogVersion: change.Version}}, nil
}

// PutPizza answers PUT /int/menu/pizzas/{id}.
func (h *Handler) PutPizza(ctx context.Context, r api.PutPizzaRequestObject) (api.PutPizzaResponseObject, error) {
	p := readPizza(r.ID, *r.Body)
	change, err := h.menu.PutPizza(ctx, p)
	if err != nil {
		return nil, err
	}
	h.audit.CatalogChanged(ctx, "put_pizza", p.ID, change.Version)
	stored := api.StoredPizza{PizzaID: p.ID, PizzaTypeID: p.TypeID, Size: p.Size, Price: *p.Price}
	if change.Created {
		return api.PutPizza201JSONResponse{Body: stored, Headers: api.PutPizza201ResponseHeaders{CatalogVersion: change.Version}}, nil
	}
	return api.PutPizza200JSONResponse{Body: stored, Headers: api.PutPizza200ResponseHeaders{CatalogVersion: change.Version}}, nil
}

// DeletePizza answers DELETE /int/menu/pizzas/{id}.
func (h *Handler) DeletePizza(ctx context.Context, r api.DeletePizzaRequestObject) (api.DeletePizzaResponseObject, error) {
	change, err := h.menu.DeletePizza(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	h.audit.CatalogChanged(ctx, "delete_pizza", r.ID, change.Version)
	return api.DeletePizza204Response{Headers: api.DeletePizza204ResponseHeaders{CatalogVersion: change.Version}}, nil
}

func pizzaType(t menu.Type) api.PizzaType {
	return api.PizzaType{PizzaTypeID: t.ID, PizzaNm: t.Name, PizzaCateg: t.Category, PizzaImgURL: t.Image}
}
