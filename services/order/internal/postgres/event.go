package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/order"
)

// event is a row of order_outbox. Its subject is the order.
type event struct {
	id          uuid.UUID
	name        string
	data        []byte
	traceparent *string // nil without a trace
}

const orderCreatedType = "order.created"

// orderCreated is the data of order.created in api/asyncapi.yaml.
type orderCreated struct {
	OrderID    string        `json:"order_id"`
	MemberID   string        `json:"member_id"`
	BranID     string        `json:"bran_id"`
	TotalPrice money.Amount  `json:"total_price"`
	CreatedAt  time.Time     `json:"created_at"`
	Lines      []createdLine `json:"lines"`
}

type createdLine struct {
	PizzaID   string       `json:"pizza_id"`
	Quantity  int          `json:"quantity"`
	UnitPrice money.Amount `json:"unit_price"`
}

// newOrderCreated returns the event of an order with a price on every line.
func newOrderCreated(ctx context.Context, o order.Order) (event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return event{}, fmt.Errorf("create an event id: %w", err)
	}
	d := orderCreated{OrderID: o.ID, MemberID: o.MemberID, BranID: *o.BranchID, TotalPrice: *o.Total, CreatedAt: o.Placed.UTC()}
	for _, l := range o.Lines {
		d.Lines = append(d.Lines, createdLine{*l.PizzaID, l.Quantity, *l.UnitPrice})
	}
	data, err := json.Marshal(d)
	if err != nil {
		return event{}, fmt.Errorf("encode order.created: %w", err)
	}
	e := event{id: id, name: orderCreatedType, data: data}
	if parent := events.TraceParent(ctx); parent != "" {
		e.traceparent = &parent
	}
	return e, nil
}
