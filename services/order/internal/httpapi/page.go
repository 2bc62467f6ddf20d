package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

// readPage reads limit and cursor; both bad ones are named.
func readPage(p api.ListMyOrdersParams) (limit int, after *order.Position, err error) {
	limit = order.DefaultLimit
	var bad []fault.Field
	if p.Limit != nil {
		n, err := strconv.Atoi(*p.Limit)
		if err != nil || n < 1 || n > order.MaxLimit {
			bad = append(bad, fault.Field{Field: "limit", Message: fmt.Sprintf("must be a whole number from 1 to %d", order.MaxLimit)})
		}
		limit = n
	}
	if p.Cursor != nil {
		position, err := parseCursor(*p.Cursor)
		if err != nil {
			bad = append(bad, fault.Field{Field: "cursor", Message: "is not one that this service gave"})
		}
		after = &position
	}
	if len(bad) > 0 {
		return 0, nil, fault.InvalidFields(bad...)
	}
	return limit, after, nil
}

// A cursor is opaque to callers. It needs no signature: it only says where to
// start in the caller's own list.
func formatCursor(p order.Position) (string, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("write cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

func parseCursor(s string) (p order.Position, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return p, fmt.Errorf("decode cursor: %w", err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("read cursor: %w", err)
	}
	if p.ID == "" {
		return p, errors.New("the cursor names no order")
	}
	return p, nil
}

// nextLink returns the Link header of a page (RFC 8288); nil on the last one.
func nextLink(next *order.Position, limit int) (*string, error) {
	if next == nil {
		return nil, nil
	}
	cursor, err := formatCursor(*next)
	if err != nil {
		return nil, err
	}
	q := url.Values{"cursor": {cursor}, "limit": {strconv.Itoa(limit)}}
	return ptr("</api/order/myorder/?" + q.Encode() + `>; rel="next"`), nil
}
