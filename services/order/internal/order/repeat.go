package order

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"example.com/pizza/pkg/fault"
)

// Receipt is what a member is told about its placed order. It is made once, when
// the order is placed, and told again byte for byte. This package only carries
// it; the transport writes and reads it.
type Receipt struct {
	Status      int
	ContentType string
	Location    string
	Body        []byte
	Repeated    bool // told before
}

// Answer is what is kept of an order under its key.
type Answer struct {
	Key         string
	Fingerprint Fingerprint // of what was asked for
	Receipt     Receipt
}

// What can be wrong with a key.
var (
	// ErrInWork is returned while another request with the same key places its order.
	ErrInWork = fault.New(fault.Conflict, "an order with this idempotency key is being placed; try again").Retry(time.Second)
	// ErrOtherOrder is returned where the key has placed an order that differs.
	ErrOtherOrder = fault.New(fault.Unprocessable, "this idempotency key has placed another order; a new order needs a new key")
)

// Fingerprint stands for what a member asked for, its key left out.
type Fingerprint [sha256.Size]byte

// Fingerprint returns the same for orders that say the same, in whatever way
// they were sent. It is compared with those of other releases of this service: a
// field that is added to NewOrder or NewLine must be left out when it is empty.
func (n NewOrder) Fingerprint() (Fingerprint, error) {
	n.Key = ""
	text, err := json.Marshal(n)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("write the order for its fingerprint: %w", err)
	}
	return sha256.Sum256(text), nil
}

// recall returns the receipt of the order that the key has placed, if it has, or
// ErrOtherOrder if that was a different order.
func (s *Service) recall(ctx context.Context, c Caller, key string, asked Fingerprint) (r Receipt, found bool, err error) {
	a, found, err := s.store.Answer(ctx, c, key)
	switch {
	case err != nil || !found:
		return Receipt{}, false, err
	case a.Fingerprint != asked:
		return Receipt{}, false, ErrOtherOrder
	}
	a.Receipt.Repeated = true
	return a.Receipt, true, nil
}

// inWork are the keys of the orders that this process is placing.
type inWork struct {
	mu   sync.Mutex
	keys map[[2]string]struct{} // member, key
}

// enter notes a key until leave; ok is false for one that is noted already.
func (w *inWork) enter(memberID, key string) (leave func(), ok bool) {
	k := [2]string{memberID, key}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.keys[k]; there {
		return nil, false
	}
	if w.keys == nil {
		w.keys = map[[2]string]struct{}{}
	}
	w.keys[k] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.keys, k)
	}, true
}
