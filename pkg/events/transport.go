package events

import (
	"context"
	"math/rand/v2"
	"time"
)

// Handler takes one event. An error means that the event did not take effect
// and is to come again.
type Handler func(ctx context.Context, e Event) error

// Transport carries events from publishers to consumers.
type Transport interface {
	// Publish returns nil when the event is safely kept for all consumers. The
	// same id again within the transport's memory is accepted and not delivered
	// twice. The error is a fault: Unavailable when the transport cannot be
	// reached and the same event may well be accepted later, anything else when
	// it refuses this event.
	Publish(ctx context.Context, e Event) error

	// Subscribe calls handle for each event of the given types, until ctx ends,
	// and then returns nil. It gets over interruptions by itself; an error means
	// that what it was asked is wrong.
	//
	// consumer is a durable name. A new one starts with the oldest event that is
	// kept; after that every event comes to one of the instances that subscribe
	// by the same name, at least once, also what was published while there was
	// none. Events of one subject come in order, each after the one before it was
	// handled or set aside. An event whose handler fails comes again, later each
	// time, and is set aside (kept, counted and logged) after a number of
	// attempts, so that it cannot stop its subject for ever.
	Subscribe(ctx context.Context, consumer string, types []string, handle Handler) error
}

// Backoff is how long to wait between attempts: twice as long after each
// failure, from Base up to Max, less up to a half by chance, so that many that
// failed together do not come back together.
type Backoff struct{ Base, Max time.Duration }

// Delay returns the wait after the given number of failed attempts, at least 1.
func (b Backoff) Delay(attempts int) time.Duration {
	d := b.Max
	if shift := max(attempts-1, 0); shift < 32 && b.Base<<shift < b.Max {
		d = b.Base << shift
	}
	return d/2 + rand.N(d/2+1)
}
