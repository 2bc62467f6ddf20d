package order

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/ratelimit"
)

// The bounds of a page. A page ends with whichever it reaches first, so that no
// request makes the service hold more than some 300 KiB: it is read from the
// database at once and then written, because a client that reads slowly would
// otherwise hold a connection to the database, and an error in the middle could
// only cut the answer off.
const (
	DefaultLimit = 100  // orders
	MaxLimit     = 500  // orders
	MaxPageLines = 1000 // lines of all orders together; one order with more is a page
)

// List returns one page of the caller's orders, newest first, and the position
// after which the next page starts; nil on the last one. It returns
// RateLimited if the member reads too often, ErrRevoked, and Unavailable.
func (s *Service) List(ctx context.Context, c Caller, after *Position, limit int) ([]Order, *Position, error) {
	var orders []Order
	var more bool
	err := s.read(ctx, c, func() (err error) {
		orders, more, err = s.store.List(ctx, c, after, limit, MaxPageLines)
		return err
	})
	if err != nil || !more {
		return orders, nil, err
	}
	last := orders[len(orders)-1].Position()
	return orders, &last, nil
}

// Get returns one order of the caller, or NotFound. It returns RateLimited if the
// member reads too often, and Unavailable.
func (s *Service) Get(ctx context.Context, c Caller, orderID string) (Order, error) {
	if len(orderID) > maxOrderID || !utf8.ValidString(orderID) || strings.ContainsRune(orderID, 0) {
		if err := s.store.Check(ctx, c); err != nil {
			return Order{}, err
		}
		return Order{}, fault.New(fault.NotFound, "no such order") // no stored id can look like this
	}
	var o Order
	err := s.read(ctx, c, func() (err error) {
		for _, spelling := range orderIDs(orderID) {
			o, err = s.store.Get(ctx, c, spelling)
			if fault.CodeOf(err) != fault.NotFound {
				break
			}
		}
		return err
	})
	return o, err
}

// maxOrderID is the largest id that the table can hold, in bytes.
const maxOrderID = 4 * 50

// orderIDs returns the forms under which an order may be stored: a UUID is the same
// in upper and lower case (RFC 9562, section 4). Other ids, which the old system
// may have given, are only what they are.
func orderIDs(id string) []string {
	const uuidLength = 36 // package uuid knows forms that RFC 9562 does not
	if len(id) != uuidLength || uuid.Validate(id) != nil {
		return []string{id}
	}
	all := []string{id}
	for _, other := range []string{strings.ToLower(id), strings.ToUpper(id)} {
		if other != id {
			all = append(all, other)
		}
	}
	return all
}

// read does one read of the caller if the rate limit and the gate allow it. The
// limit is checked before the gate, so that a member who reads too often takes no
// place in the queue. Other reads of the same member wait for their turn. The limit
// is charged after the gate, so that a 503 of the gate is free. A 503 of the
// database is refunded, and so is a read with a withdrawn token.
func (s *Service) read(ctx context.Context, c Caller, do func() error) error {
	charge := s.reads.Limit.For(c.MemberID)
	if err := ratelimit.Check(ctx, charge); err != nil {
		return err
	}
	release, err := s.turns.take(ctx, c.MemberID)
	if err != nil {
		return err
	}
	defer release()
	leave, err := s.reads.Gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	refund, err := ratelimit.Spend(ctx, charge)
	if err != nil {
		return err
	}
	err = do()
	if errors.Is(err, ErrRevoked) || (fault.CodeOf(err) == fault.Unavailable && ctx.Err() == nil) {
		refund()
	}
	return err
}

// Branches returns all branches, by id. Everybody may ask, so all that ask at the
// same time share one read: it takes one connection at most, and no place of a
// member's read. It returns Unavailable.
func (s *Service) Branches(ctx context.Context) ([]Branch, error) {
	read := s.branches.DoChan("", func() (any, error) { return s.store.Branches(context.WithoutCancel(ctx)) })
	select {
	case r := <-read:
		branches, _ := r.Val.([]Branch)
		return branches, r.Err
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "the database does not answer; try again").Retry(time.Second)
	}
}
