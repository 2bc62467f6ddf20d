package events

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"example.com/pizza/pkg/fault"
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
	// attempts, so that it cannot stop its subject for ever. handle may be called
	// for several events at once, if they are of different subjects.
	Subscribe(ctx context.Context, consumer string, types []string, handle Handler) error
}

// Config paces the consumers of a transport. Services use Defaults; tests are in
// more of a hurry.
type Config struct {
	MaxAttempts    int           // failures of a consumer on one event before it is set aside
	RetryBase      time.Duration // pause after the first failure on an event; doubles with each further one
	RetryMax       time.Duration // longest pause between attempts on an event
	HandlerTimeout time.Duration // longest time for one event
	Poll           time.Duration // pause between looks for events in PostgreSQL while there are none
	Retention      time.Duration // time that events are kept for new consumers and duplicates are known
}

// Defaults returns the pace of a consumer. Eight attempts take about two minutes,
// in which the later events of the subject wait. Half a second of polling is
// unnoticed by people and costs two indexed reads per second and consumer.
func Defaults() Config {
	return Config{
		MaxAttempts: 8, RetryBase: 500 * time.Millisecond, RetryMax: time.Minute,
		HandlerTimeout: 30 * time.Second, Poll: 500 * time.Millisecond, Retention: 7 * 24 * time.Hour,
	}
}

// Subscription reports what is wrong with the arguments of Subscribe, as
// fault.Invalid. A consumer's name follows the rules of an event's type,
// without dots.
func Subscription(consumer string, types []string) error {
	var bad []error
	if strings.Contains(consumer, ".") || eventType(consumer) != nil {
		bad = append(bad, errors.New("consumer must be a name of a-z, 0-9, _ and -"))
	}
	if len(types) == 0 {
		bad = append(bad, errors.New("there must be a type"))
	}
	for _, t := range types {
		bad = append(bad, eventType(t))
	}
	if err := errors.Join(bad...); err != nil {
		return fault.Wrap(err, fault.Invalid, "subscription: "+err.Error())
	}
	return nil
}

// Pause waits for a time, or less if something comes from wake or ctx ends.
func Pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
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
	return jitter(d)
}

func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) } //nolint:gosec // spread, not a secret
