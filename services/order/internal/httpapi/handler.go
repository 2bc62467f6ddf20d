// Package httpapi answers the order service's HTTP operations: it reads the
// generated request, calls the order.Service, and writes the generated answer.
// Errors are returned as they are; package server answers them.
package httpapi

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

// Handler implements the generated server interface.
type Handler struct {
	orders  *order.Service
	repeats repeats
}

// Register puts the operations on the server's ports; keys verify the tokens of
// those that need a member.
func Register(s *server.Server, orders *order.Service, keys *token.Keys, registry prometheus.Registerer) error {
	tokens := newTokens(keys, time.Now)
	member := []echo.MiddlewareFunc{ratelimit.Announce, server.RequireToken(tokens.check), tokens.refuse(orders)}
	handler := api.NewStrictHandler(&Handler{orders, newRepeats(registry)}, nil)
	api.RegisterHandlersWithOptions(s.Router(), handler, api.RegisterHandlersOptions{
		OperationMiddlewares: map[string][]echo.MiddlewareFunc{
			"PlaceOrder": member, "ListMyOrders": member, "GetOrder": member,
		},
	})
	s.CheckBodies(rules)
	return s.ServeDocument("order", api.Document)
}

// caller returns the member whose token RequireToken has verified.
func caller(ctx context.Context) (order.Caller, error) {
	claims, ok := token.FromContext(ctx)
	if !ok {
		return order.Caller{}, token.ErrMissing
	}
	return order.Caller{MemberID: claims.MemberID, TokenID: claims.ID, Generation: claims.Generation}, nil
}

// PlaceOrder answers POST /order/.
func (h *Handler) PlaceOrder(ctx context.Context, r api.PlaceOrderRequestObject) (api.PlaceOrderResponseObject, error) {
	member, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	key, err := readKey(r.Params.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	names := bind.Names{}
	n := readOrder(*r.Body, names)
	n.Key = key
	answer, err := h.orders.Place(ctx, member, n, writeReceipt)
	h.repeats.count(answer, err)
	if err != nil {
		return nil, names.Restore(err)
	}
	return receipt(answer), nil
}

// ListMyOrders answers GET /order/myorder/.
func (h *Handler) ListMyOrders(ctx context.Context, r api.ListMyOrdersRequestObject) (api.ListMyOrdersResponseObject, error) {
	member, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	limit, after, err := readPage(r.Params)
	if err != nil {
		return nil, err
	}
	orders, next, err := h.orders.List(ctx, member, after, limit)
	if err != nil {
		return nil, err
	}
	link, err := nextLink(next, limit)
	if err != nil {
		return nil, err
	}
	return api.ListMyOrders200JSONResponse{
		Body:    rows(orders),
		Headers: api.ListMyOrders200ResponseHeaders{Link: link},
	}, nil
}

// GetOrder answers GET /order/{order_id}/.
func (h *Handler) GetOrder(ctx context.Context, r api.GetOrderRequestObject) (api.GetOrderResponseObject, error) {
	member, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	o, err := h.orders.Get(ctx, member, r.OrderID)
	if err != nil {
		return nil, err
	}
	return api.GetOrder200JSONResponse(oneOrder(o)), nil
}

// ListBranches answers GET /order/branch/.
func (h *Handler) ListBranches(ctx context.Context, _ api.ListBranchesRequestObject) (api.ListBranchesResponseObject, error) {
	branches, err := h.orders.Branches(ctx)
	if err != nil {
		return nil, err
	}
	out := make(api.ListBranches200JSONResponse, len(branches))
	for i, b := range branches {
		out[i] = api.Branch{BranID: b.ID, BranNm: b.Name}
	}
	return out, nil
}

func ptr[T any](v T) *T { return &v }
