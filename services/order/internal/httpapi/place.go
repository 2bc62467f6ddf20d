package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// placing is the way of an order from the request to the answer:
//
//	shed ─▶ receipt ─▶ rules ─▶ key ─▶ limit ─▶ gate ─▶ price ─▶ token, order and receipt, in one transaction
//
// The limits come late, so that an order that is invalid or already placed costs its
// member nothing, and a client that sends its body slowly takes no place. An order
// without a key reaches the database once, behind the gate: while the service is
// busy, a refusal must cost nothing but its own request.
type placing struct {
	orders *order.Service
	store  Store
	limits Limits
	inUse  keysInUse
	sales  sales
}

// place places the order for the caller and returns the answer. replayed is true
// for the answer of an earlier request with the same key; no key is "".
//
// Errors are ErrRevoked for a revoked token; Invalid with every bad field; Conflict
// if the expected total is not the price; RateLimited if the member orders too
// often; and Unavailable if menu or the database does not answer or the service is
// busy. No order is placed then, unless the database or the client went away during
// the commit: such an order needs a key to be found again. A key can also be refused
// by idempotency.ErrInUse and ErrMismatch.
func (p *placing) place(ctx context.Context, c order.Caller, n order.NewOrder, key string) (r idempotency.Receipt, replayed bool, err error) {
	invalid := n.Validate()
	if key == "" {
		if invalid != nil {
			return r, false, invalid
		}
		r, err = p.placeNew(ctx, c, n, nil)
		return r, false, err
	}

	fingerprint, err := idempotency.FingerprintOf(n)
	if err != nil {
		return r, false, err
	}
	// A repeated order is answered here: it does not fail because menu is away, the
	// price has changed, or the pizza is gone. The Store prevents a second order.
	kept, found, err := p.recall(ctx, c, key, fingerprint)
	switch {
	case err != nil && !errors.Is(err, idempotency.ErrMismatch):
		return r, false, err
	case invalid != nil:
		return r, false, invalid
	case found || err != nil:
		return kept, found, err
	}
	release, ok := p.inUse.enter(c.MemberID, key)
	if !ok {
		return r, false, idempotency.ErrInUse
	}
	defer release()
	r, err = p.placeNew(ctx, c, n, &idempotency.Receipt{Key: key, Fingerprint: fingerprint})
	if err == nil || isOverLimit(err) || errors.Is(err, order.ErrRevoked) {
		return r, false, err
	}
	// The order may have been placed all the same: by a faster request, or by this
	// one, if the connection broke after the commit.
	kept, found, lookup := p.recall(ctx, c, key, fingerprint)
	if found || errors.Is(lookup, idempotency.ErrMismatch) {
		return kept, found, lookup
	}
	return r, false, err
}

// shed is a middleware that comes before the token. While the queue is full, it rejects an
// order before anything of it is read or verified: rejected orders take their time from those
// that are let in. An order with a key passes, because it may be placed already.
func (p *placing) shed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if r := c.Request(); r.Header.Get(keyHeader) == "" {
			if err := p.limits.Gate.Full(r.Context()); err != nil {
				return err
			}
		}
		return next(c)
	}
}

// recall returns the receipt of the order that the key has placed, or ErrMismatch
// if that was a different order. It also checks the caller's token.
func (p *placing) recall(ctx context.Context, c order.Caller, key string, f idempotency.Fingerprint) (r idempotency.Receipt, found bool, err error) {
	kept, found, err := p.store.Receipt(ctx, c, key)
	if err == nil && found && kept.Fingerprint != f {
		return r, false, idempotency.ErrMismatch
	}
	return kept, found, err
}

// placeNew places the order within the limits. A receipt with a key is filled in
// and kept with the order.
func (p *placing) placeNew(ctx context.Context, c order.Caller, n order.NewOrder, keyed *idempotency.Receipt) (r idempotency.Receipt, err error) {
	if err := p.limits.check(ctx, c.MemberID); err != nil {
		return r, err
	}
	if keyed != nil {
		r = *keyed
	}
	err = p.limits.do(ctx, c.MemberID, func() error {
		placed, err := p.orders.Place(ctx, c, n, func(ctx context.Context, o order.Order) error {
			if err := write(&r, o); err != nil {
				return err
			}
			return p.store.Insert(ctx, c, o, r)
		})
		switch {
		case err == nil:
			p.sales.count(placed)
		case keyed == nil && fault.CodeOf(err) != fault.Unavailable && !errors.Is(err, order.ErrRevoked):
			// The holder of a revoked token must neither learn the reason nor use up its
			// owner's limit.
			if revoked := p.store.Check(ctx, c); errors.Is(revoked, order.ErrRevoked) {
				return revoked
			}
		}
		return err
	})
	return r, err
}

// write fills in the answer to a placed order. It is encoded once: the bytes that
// are sent are the bytes that are kept for repeated requests.
func write(r *idempotency.Receipt, o order.Order) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(placedOrder(o)); err != nil {
		return fmt.Errorf("encode the answer to an order: %w", err)
	}
	r.Status, r.ContentType, r.Location, r.Body = http.StatusCreated, "application/json", "/api/order/"+o.ID+"/", body.Bytes()
	return nil
}

// receipt is the answer to PlaceOrder.
type receipt struct {
	idempotency.Receipt
	replayed bool
}

// VisitPlaceOrderResponse sends the answer as it was written.
func (r receipt) VisitPlaceOrderResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", r.ContentType)
	h.Set("Location", r.Location)
	if r.replayed {
		h.Set(replayedHeader, "true")
	}
	w.WriteHeader(r.Status)
	_, err := w.Write(r.Body)
	return err
}

// keysInUse holds the keys of the orders that this process is placing. A client
// that retries too early takes no place in the queue, and costs menu and database
// nothing. The Store keeps requests at other replicas apart. The zero value is ready
// to use.
type keysInUse struct {
	mu   sync.Mutex
	keys map[[2]string]struct{} // member, key
}

// enter reserves a key until release is called. ok is false if the key is reserved.
func (u *keysInUse) enter(memberID, key string) (release func(), ok bool) {
	k := [2]string{memberID, key}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, there := u.keys[k]; there {
		return nil, false
	}
	if u.keys == nil {
		u.keys = map[[2]string]struct{}{}
	}
	u.keys[k] = struct{}{}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.keys, k)
	}, true
}
