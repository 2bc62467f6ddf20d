package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"example.com/pizza/services/order/internal/order"
)

// writeReceipt writes the answer to a placed order. The bytes are made here
// once: what is sent is what is kept for the day that it is asked for again.
func writeReceipt(o order.Order) (order.Receipt, error) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(placedOrder(o)); err != nil {
		return order.Receipt{}, fmt.Errorf("write the answer to an order: %w", err)
	}
	return order.Receipt{
		Status: http.StatusCreated, ContentType: "application/json",
		Location: "/api/order/" + o.ID + "/", Body: body.Bytes(),
	}, nil
}

// receipt is the answer to PlaceOrder, sent as it was written.
type receipt order.Receipt

// VisitPlaceOrderResponse sends the answer.
func (r receipt) VisitPlaceOrderResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", r.ContentType)
	h.Set("Location", r.Location)
	if r.Repeated {
		h.Set(repeatedHeader, "true")
	}
	w.WriteHeader(r.Status)
	_, err := w.Write(r.Body)
	return err
}
