package order

import (
	"context"
	"fmt"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
)

// Pricer prices orders from the menu.
type Pricer interface {
	// Quote prices all lines by one version of the menu, in their order. It returns
	// Unavailable if menu does not answer.
	Quote(ctx context.Context, lines []NewLine) ([]Price, error)
}

// Price is the menu's answer for one line: the pizza and its current price, or the
// reason why it cannot be ordered.
type Price struct {
	PizzaID string
	Unit    money.Amount
	Refused string // the rule that the line breaks; empty for a price
}

// Store reads orders and names new ones. Methods that take a Caller return ErrRevoked for a caller
// whose token was revoked. All methods return Unavailable.
type Store interface {
	// NewID returns an id that no order has had.
	NewID(ctx context.Context) (string, error)
	// List returns orders of the caller, newest first, and reports whether there are
	// more. The page starts after a position; nil starts at the newest order. It has
	// at most orders orders with at most lines lines, and at least one order if there
	// is one.
	List(ctx context.Context, c Caller, after *Position, orders, lines int) (page []Order, more bool, err error)
	// Get returns one order of the caller, or NotFound.
	Get(ctx context.Context, c Caller, orderID string) (Order, error)
	// Branches returns all branches, by id.
	Branches(ctx context.Context) ([]Branch, error)
}

// Service places and reads orders.
type Service struct {
	pricer Pricer
	store  Store
	zone   *time.Location
	now    func() time.Time
}

// NewService returns a service that writes the date and time of orders in zone. now
// is the clock: time.Now outside of tests.
func NewService(pricer Pricer, store Store, zone *time.Location, now func() time.Time) *Service {
	return &Service{pricer: pricer, store: store, zone: zone, now: now}
}

// Place prices a valid order, and calls keep with it. The order is placed if keep
// returns nil.
//
// Place returns Invalid with every line that the menu refuses, Conflict if the
// expected total differs from the price, Unavailable if menu does not answer, and
// the errors of keep. Menu is asked before keep begins a transaction, so a slow
// menu holds no database connection.
func (s *Service) Place(ctx context.Context, c Caller, n NewOrder, keep func(context.Context, Order) error) (Order, error) {
	prices, err := s.pricer.Quote(ctx, n.Lines)
	if err != nil {
		return Order{}, err
	}
	lines, total, err := price(n.Lines, prices)
	if err != nil {
		return Order{}, err
	}
	if n.ExpectedTotal != nil && !n.ExpectedTotal.Equal(total) {
		return Order{}, fault.New(fault.Conflict, fmt.Sprintf("the total is %s, not %s", total, n.ExpectedTotal))
	}
	id, err := s.store.NewID(ctx)
	if err != nil {
		return Order{}, err
	}
	placed := s.now().In(s.zone).Truncate(time.Microsecond) // the precision of the table
	o := Order{
		ID: id, MemberID: c.MemberID, BranchID: &n.BranchID, Placed: placed,
		Date: placed.Format(time.DateOnly), Time: placed.Format(time.TimeOnly),
		Total: &total, Lines: lines,
	}
	return o, keep(ctx, o)
}
