package order

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/ratelimit"
)

// Price is the menu's word on one line: which pizza it is and what it costs
// now, or why it cannot be ordered.
type Price struct {
	PizzaID string
	Unit    money.Amount
	Refused string // what is wrong with the line; empty for a price
}

// Pricer asks the menu.
type Pricer interface {
	// Quote prices all lines at one moment, in their order. It returns
	// Unavailable when the menu does not answer.
	Quote(ctx context.Context, lines []NewLine) ([]Price, error)
}

// Store keeps orders. Every method that takes a Caller returns ErrRevoked, and
// does nothing, if the caller's token was withdrawn; all return Unavailable.
type Store interface {
	// Check does nothing else.
	Check(ctx context.Context, c Caller) error
	// Answer returns what is kept under a key of the caller.
	Answer(ctx context.Context, c Caller, key string) (a Answer, found bool, err error)
	// Insert keeps the order with its lines and announces it, or does nothing.
	// It returns Invalid for a branch that does not exist or a pizza that is no
	// longer sold. With an answer it keeps that under its key too, and returns
	// ErrInWork where the key is in use: at once, even while the order of that
	// key is only about to be kept.
	Insert(ctx context.Context, c Caller, o Order, a *Answer) error
	// List returns whole orders of the caller, newest first, after a position, and
	// whether there are more; nil starts at the newest. It returns up to orders
	// orders with up to lines lines, and at least one order if there is one.
	List(ctx context.Context, c Caller, after *Position, orders, lines int) (page []Order, more bool, err error)
	// Get returns one order of the caller, or NotFound.
	Get(ctx context.Context, c Caller, orderID string) (Order, error)
	// Branches returns all branches, by id.
	Branches(ctx context.Context) ([]Branch, error)
}

// Service places and shows orders.
type Service struct {
	pricer Pricer
	store  Store
	orders Bounds
	reads  Bounds
	turns  turns
	zone   *time.Location
	now    func() time.Time
	inWork inWork
	sales  sales

	branches singleflight.Group
}

// Bounds are those of one kind of requests: how many at a time, and how often for
// one member.
type Bounds struct {
	Gate  *admission.Gate
	Limit *ratelimit.Limit
}

// NewService returns a service that places orders within the bounds of orders,
// reads within those of reads, and writes dates in the shop's time zone. now is
// the clock, time.Now outside of tests. Sales are counted in registry.
func NewService(
	pricer Pricer, store Store, orders, reads Bounds, zone *time.Location, now func() time.Time, registry prometheus.Registerer,
) *Service {
	return &Service{pricer: pricer, store: store, orders: orders, reads: reads, zone: zone, now: now, sales: newSales(registry)}
}

// Place places an order for the caller, and returns the receipt that receipt
// writes for it. Errors are ErrRevoked for a withdrawn token, before anything
// else; Invalid with every bad field; Conflict if the expected total is not the
// price; RateLimited if the member orders too often; and Unavailable if menu or
// database do not answer or the service is busy. No order is placed then, unless
// the database or the caller went away just as the order was committed.
//
// An order with a key is placed once, however often it is requested: later
// requests get the first receipt again. Such an order can also fail with
// ErrInWork and ErrOtherOrder.
func (s *Service) Place(ctx context.Context, c Caller, n NewOrder, receipt func(Order) (Receipt, error)) (Receipt, error) {
	if n.Key == "" {
		return s.placeUnkeyed(ctx, c, n, receipt)
	}
	asked, err := n.Fingerprint()
	if err != nil {
		return Receipt{}, err
	}
	// One round trip checks the token and looks the key up. A repeated order is
	// answered here, so it cannot fail because menu is away, the price has
	// changed, or the pizza is gone. The Store prevents a second order, not this.
	kept, found, recalled := s.recall(ctx, c, n.Key, asked)
	if recalled != nil && !errors.Is(recalled, ErrOtherOrder) {
		return Receipt{}, recalled
	}
	if err := n.Validate(); err != nil {
		return Receipt{}, err
	}
	if found || recalled != nil {
		return kept, recalled
	}
	r, err := s.placeOnce(ctx, c, n, &Answer{Key: n.Key, Fingerprint: asked}, receipt)
	if err == nil || errors.Is(err, admission.ErrBusy) || errors.Is(err, ratelimit.ErrLimited) || errors.Is(err, ErrRevoked) {
		return r, err
	}
	// The order may be kept all the same: by another request, which was faster,
	// or by this one, when the connection broke after the commit.
	again, found, unknown := s.recall(ctx, c, n.Key, asked)
	if found || errors.Is(unknown, ErrOtherOrder) {
		return again, unknown
	}
	return Receipt{}, err
}

// Authorize returns ErrRevoked for a withdrawn token, and Unavailable.
func (s *Service) Authorize(ctx context.Context, c Caller) error { return s.store.Check(ctx, c) }

// placeUnkeyed checks the token before anything is done or counted for its
// member: whoever has stolen a token that is withdrawn cannot use up the limit of
// its owner.
func (s *Service) placeUnkeyed(ctx context.Context, c Caller, n NewOrder, receipt func(Order) (Receipt, error)) (Receipt, error) {
	invalid := n.Validate()
	if invalid == nil {
		// A member who orders too often costs the database nothing.
		if err := ratelimit.Check(ctx, s.orders.Limit.For(c.MemberID)); err != nil {
			return Receipt{}, err
		}
	}
	if err := s.store.Check(ctx, c); err != nil {
		return Receipt{}, err
	}
	if invalid != nil {
		return Receipt{}, invalid
	}
	return s.admitted(ctx, c, n, nil, receipt)
}

// placeOnce is admitted for one request at a time of each key in this process: a
// client that tries again too early takes no place in the queue, and costs menu
// and database nothing. Requests elsewhere are told apart by the Store.
func (s *Service) placeOnce(ctx context.Context, c Caller, n NewOrder, a *Answer, receipt func(Order) (Receipt, error)) (Receipt, error) {
	leave, ok := s.inWork.enter(c.MemberID, n.Key)
	if !ok {
		return Receipt{}, ErrInWork
	}
	defer leave()
	return s.admitted(ctx, c, n, a, receipt)
}

// admitted places the order if the rate limit and the admission gate allow it. Both
// are checked this late so that a client that sends its body slowly, an invalid
// order, and an order that is already placed take no place from others and cost the
// member nothing. An order costs when it has a place, so a 503 of the gate is free;
// a 503 of menu or database is refunded.
func (s *Service) admitted(ctx context.Context, c Caller, n NewOrder, a *Answer, receipt func(Order) (Receipt, error)) (Receipt, error) {
	charge := s.orders.Limit.For(c.MemberID)
	if err := ratelimit.Check(ctx, charge); err != nil {
		return Receipt{}, err
	}
	leave, err := s.orders.Gate.Enter(ctx)
	if err != nil {
		return Receipt{}, err
	}
	defer leave()
	refund, err := ratelimit.Spend(ctx, charge)
	if err != nil {
		return Receipt{}, err
	}
	r, err := s.place(ctx, c, n, a, receipt)
	// Not for a caller that goes away: its order may be kept.
	if errors.Is(err, ErrRevoked) || fault.CodeOf(err) == fault.Unavailable && ctx.Err() == nil {
		refund()
	}
	return r, err
}

// place prices the order and keeps it, with what is answered if a is there.
func (s *Service) place(ctx context.Context, c Caller, n NewOrder, a *Answer, receipt func(Order) (Receipt, error)) (Receipt, error) {
	// The menu is asked before the transaction begins, so that a slow menu
	// holds no connection to the database.
	prices, err := s.pricer.Quote(ctx, n.Lines)
	if err != nil {
		return Receipt{}, err
	}
	lines, total, err := priced(n.Lines, prices)
	if err != nil {
		return Receipt{}, err
	}
	if n.ExpectedTotal != nil && !n.ExpectedTotal.Equal(total) {
		return Receipt{}, fault.New(fault.Conflict, fmt.Sprintf("the total is %s, not %s", total, n.ExpectedTotal))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Receipt{}, fmt.Errorf("make an order id: %w", err)
	}
	placed := s.now().In(s.zone).Truncate(time.Microsecond) // what the table keeps
	o := Order{
		ID: id.String(), MemberID: c.MemberID, BranchID: &n.BranchID, Placed: placed,
		Date: placed.Format(time.DateOnly), Time: placed.Format(time.TimeOnly),
		Total: &total, Lines: lines,
	}
	r, err := receipt(o)
	if err != nil {
		return Receipt{}, err
	}
	if a != nil {
		a.Receipt = r
	}
	if err := s.store.Insert(ctx, c, o, a); err != nil {
		return r, err
	}
	s.sales.count(o)
	return r, nil
}

// priced joins what was asked for with the menu's answer.
func priced(asked []NewLine, prices []Price) ([]Line, money.Amount, error) {
	var total money.Amount
	if len(prices) != len(asked) {
		return nil, total, fmt.Errorf("the menu priced %d of %d lines", len(prices), len(asked))
	}
	var bad []fault.Field
	lines := make([]Line, len(asked))
	for i, p := range prices {
		if p.Refused != "" {
			bad = append(bad, fault.Field{Field: LinePath(i), Message: p.Refused})
			continue
		}
		lines[i] = Line{PizzaID: &p.PizzaID, Quantity: *asked[i].Quantity, UnitPrice: &p.Unit}
		total = total.Add(p.Unit.Times(*asked[i].Quantity))
	}
	if len(bad) > 0 {
		return nil, total, fault.InvalidFields(bad...)
	}
	if total.Cmp(money.Max) > 0 {
		return nil, total, fault.InvalidFields(fault.Field{Field: "lines", Message: "must not cost more than " + money.Max.String()})
	}
	return lines, total, nil
}
