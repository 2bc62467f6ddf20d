// Package httpapi serves the order service's HTTP operations. A handler reads the
// generated request, calls the order.Service within the Limits of its operation,
// and returns the generated answer. Package server answers errors.
package httpapi

import (
	"cmp"
	"context"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// Store is what the transport itself needs of the store. All methods return
// ErrRevoked for a caller whose token was revoked, and Unavailable.
type Store interface {
	// Check does nothing else.
	Check(ctx context.Context, c order.Caller) error
	// Receipt returns the receipt that is kept under a key of the caller.
	Receipt(ctx context.Context, c order.Caller, key string) (r idempotency.Receipt, found bool, err error)
	// Insert keeps and announces the order, with its receipt if that has a key, or
	// does nothing. It returns Invalid for a branch that does not exist or a pizza
	// that is no longer sold, and idempotency.ErrInUse for a key that is in use, even
	// by an order that is only about to be kept.
	Insert(ctx context.Context, c order.Caller, o order.Order, r idempotency.Receipt) error
}

// Handler implements the generated server interface.
type Handler struct {
	orders  *order.Service
	store   Store
	placing placing
	reads   Limits
	turns   turns
	repeats repeats
}

// New returns a handler that places orders within the limits of orders, and reads
// them within those of reads. Its metrics are in registry.
func New(service *order.Service, store Store, orders, reads Limits, registry prometheus.Registerer) *Handler {
	return &Handler{
		orders: service, store: store, reads: reads, repeats: newRepeats(registry),
		placing: placing{orders: service, store: store, limits: orders, sales: newSales(registry)},
	}
}

// Mount puts the operations on the server's ports. keys verifies the tokens of
// operations that need a member.
func (h *Handler) Mount(s *server.Server, keys *token.Keys) error {
	tokens := newTokens(keys, time.Now)
	member := []echo.MiddlewareFunc{ratelimit.Announce, server.RequireToken(tokens.check), tokens.refuse(h.store)}
	api.RegisterHandlersWithOptions(s.Router(), api.NewStrictHandler(h, nil), api.RegisterHandlersOptions{
		OperationMiddlewares: map[string][]echo.MiddlewareFunc{
			"PlaceOrder": append([]echo.MiddlewareFunc{h.placing.shed}, member...), "ListMyOrders": member, "GetOrder": member,
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
	answer, replayed, err := h.placing.place(ctx, member, readOrder(*r.Body, names), key)
	h.repeats.count(replayed, err)
	if err != nil {
		return nil, names.Restore(err)
	}
	return receipt{answer, replayed}, nil
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
	var orders []order.Order
	var next *order.Position
	err = h.read(ctx, member, func() (err error) {
		orders, next, err = h.orders.List(ctx, member, after, limit)
		return err
	})
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
	if !order.IsOrderID(r.OrderID) {
		return nil, cmp.Or(h.store.Check(ctx, member), error(fault.New(fault.NotFound, "no such order")))
	}
	var o order.Order
	err = h.read(ctx, member, func() (err error) {
		o, err = h.orders.Get(ctx, member, r.OrderID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return api.GetOrder200JSONResponse(oneOrder(o)), nil
}

// read runs one read of a member within the limits of reads. The limit is checked
// first, so a member who reads too often takes no place in the queue.
func (h *Handler) read(ctx context.Context, c order.Caller, do func() error) error {
	if err := h.reads.check(ctx, c.MemberID); err != nil {
		return err
	}
	release, err := h.turns.take(ctx, c.MemberID)
	if err != nil {
		return err
	}
	defer release()
	return h.reads.do(ctx, c.MemberID, do)
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
