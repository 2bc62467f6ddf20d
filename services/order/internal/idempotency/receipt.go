// Package idempotency makes an order with an Idempotency-Key take place once.
//
// The first order with a key is kept in one transaction with its Receipt: the
// answer to the member, and a fingerprint of the request. Later requests with the
// key get the same answer, byte for byte. A Cleaner deletes receipts that are
// older than any client's retries.
package idempotency

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/order/internal/order"
)

// Receipt is the answer to a placed order, as it is kept under the key of its
// request.
type Receipt struct {
	Key         string
	Fingerprint Fingerprint // of the request

	Status      int
	ContentType string
	Location    string
	Body        []byte
}

// The ways in which a key can be refused.
var (
	// ErrInUse is returned while another request with the same key places its order.
	ErrInUse = fault.New(fault.Conflict, "an order with this idempotency key is being placed; try again").Retry(time.Second)
	// ErrMismatch is returned for a key that has placed a different order.
	ErrMismatch = fault.New(fault.Unprocessable, "this idempotency key has placed another order; a new order needs a new key")
)

// Fingerprint identifies the content of a request.
type Fingerprint [sha256.Size]byte

// FingerprintOf returns equal fingerprints for equal orders, in whatever dialect
// they were sent. Fingerprints outlive a release: a field that is added to
// order.NewOrder or order.NewLine must be left out of the JSON while it is empty.
func FingerprintOf(n order.NewOrder) (Fingerprint, error) {
	text, err := json.Marshal(struct {
		order.NewOrder
		Key string // always empty; fingerprints in the database have it
	}{NewOrder: n})
	if err != nil {
		return Fingerprint{}, fmt.Errorf("encode an order for its fingerprint: %w", err)
	}
	return sha256.Sum256(text), nil
}
