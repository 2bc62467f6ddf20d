package order

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/pizza/pkg/fault"
)

// The bounds of a page. A page ends at the first bound that it reaches. It is read
// from the database at once and then written, about 300 KiB at most: a client that
// reads slowly holds no connection, and an error never cuts an answer off.
const (
	DefaultLimit = 100  // orders
	MaxLimit     = 500  // orders
	MaxPageLines = 1000 // lines of all orders; one order with more lines is a page
)

// List returns one page of the caller's orders, newest first, and the position
// after which the next page starts, or nil on the last page. It returns ErrRevoked
// and Unavailable.
func (s *Service) List(ctx context.Context, c Caller, after *Position, limit int) ([]Order, *Position, error) {
	orders, more, err := s.store.List(ctx, c, after, limit, MaxPageLines)
	if err != nil || !more {
		return orders, nil, err
	}
	last := orders[len(orders)-1].Position()
	return orders, &last, nil
}

// Get returns one order of the caller. It returns NotFound, ErrRevoked and
// Unavailable.
func (s *Service) Get(ctx context.Context, c Caller, orderID string) (o Order, err error) {
	for _, spelling := range spellings(orderID) {
		o, err = s.store.Get(ctx, c, spelling)
		if fault.CodeOf(err) != fault.NotFound {
			break
		}
	}
	return o, err
}

// maxOrderID is the length of the longest id that the table can hold, in bytes.
const maxOrderID = 4 * 50

// IsOrderID reports whether an order can have the id.
func IsOrderID(id string) bool {
	return len(id) <= maxOrderID && utf8.ValidString(id) && !strings.ContainsRune(id, 0)
}

// spellings returns the forms under which an order may be stored. A UUID is equal
// in upper and lower case (RFC 9562, section 4). Other ids, which the old system may
// have given, have one form.
func spellings(id string) []string {
	const uuidLength = 36 // package uuid accepts forms that RFC 9562 does not have
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

// Branches returns all branches, by id. It returns Unavailable.
func (s *Service) Branches(ctx context.Context) ([]Branch, error) { return s.store.Branches(ctx) }
