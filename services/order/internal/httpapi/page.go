package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

// readPage reads limit and cursor, and names both if both are bad.
func readPage(p api.ListMyOrdersParams) (limit int, after *order.Position, err error) {
	var params bind.Parameters
	limit = bind.Parameter(&params, "limit", p.Limit, order.DefaultLimit, bind.Whole(1, order.MaxLimit))
	after = bind.Parameter(&params, "cursor", p.Cursor, nil, func(s string) (*order.Position, error) {
		position, err := parseCursor(s)
		if err != nil {
			return nil, errors.New("must be a cursor of this service; start again without it")
		}
		return &position, nil
	})
	if err := params.Err(); err != nil {
		return 0, nil, err
	}
	return limit, after, nil
}

// cursor is the text of a position. It is opaque to callers and needs no
// signature: it only says where to start in the caller's own list. Cursors before
// version 2 had no moment, so they do not say where their order is listed today.
type cursor struct {
	Version int    `json:"v"`
	Placed  int64  `json:"p,omitempty"` // microseconds since 1970
	Date    string `json:"d"`
	Time    string `json:"t"`
	ID      string `json:"i"`
}

const cursorVersion = 2

func formatCursor(p order.Position) (string, error) {
	b, err := json.Marshal(cursor{cursorVersion, p.Placed, p.Date, p.Time, p.ID})
	if err != nil {
		return "", fmt.Errorf("write cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

func parseCursor(s string) (order.Position, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return order.Position{}, fmt.Errorf("decode cursor: %w", err)
	}
	var c cursor
	if err := json.Unmarshal(b, &c); err != nil {
		return order.Position{}, fmt.Errorf("read cursor: %w", err)
	}
	switch year := time.UnixMicro(c.Placed).UTC().Year(); {
	case c.Version != cursorVersion:
		return order.Position{}, errors.New("the cursor is of another version")
	case c.ID == "" || strings.ContainsRune(c.Date+c.Time+c.ID, 0):
		return order.Position{}, errors.New("the cursor names no order")
	case year < 1 || year > 9999:
		return order.Position{}, errors.New("the cursor has no moment")
	}
	return order.Position{Placed: c.Placed, Date: c.Date, Time: c.Time, ID: c.ID}, nil
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
