package events

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"example.com/pizza/pkg/fault"
)

// Handler handles one event. An error means that the event did not take effect and must
// be delivered again.
type Handler func(ctx context.Context, e Event) error

// Transport carries events from publishers to consumers.
type Transport interface {
	// Publish returns nil once all events are stored durably for all consumers. An id that
	// the transport remembers is accepted and not delivered twice. The error is a fault:
	// Unavailable if the transport cannot be reached and may accept the events later, any
	// other code if it rejects one of them. After an error some events may be stored.
	// Events of one subject must not be published together.
	Publish(ctx context.Context, all ...Event) error

	// Subscribe calls handle for each event of the given types until ctx ends, and then
	// returns nil. It recovers from interruptions; an error means that the arguments are
	// invalid.
	//
	// consumer is a durable name. A new consumer starts with the oldest stored event. Each
	// event is delivered to one of the instances of a consumer, at least once, also if it
	// was published while there was no instance. Events of one subject are delivered in
	// order, each after the previous one was handled or parked. A failed event is
	// delivered again with growing pauses, and parked (stored, counted and logged) after a
	// number of attempts, so that it cannot block its subject forever. handle can be
	// called concurrently for events of different subjects.
	Subscribe(ctx context.Context, consumer string, types []string, handle Handler) error
}

// Config is the pace of the consumers of a transport. Services use Defaults; tests are
// faster.
type Config struct {
	MaxAttempts    int           // of a consumer on one event before it is parked
	RetryBase      time.Duration // pause after the first failure on an event; doubles each time
	RetryMax       time.Duration // longest pause between attempts on an event
	HandlerTimeout time.Duration // maximum time for one event
	Poll           time.Duration // pause between reads of PostgreSQL while there are no events
	Retention      time.Duration // of events for new consumers, and of ids for duplicates
}

// Defaults returns the pace of a consumer. Eight attempts take about two minutes, in
// which later events of the subject wait. Polling every half second is fast enough for
// people, and costs two indexed reads per second and consumer.
func Defaults() Config {
	return Config{
		MaxAttempts: 8, RetryBase: 500 * time.Millisecond, RetryMax: time.Minute,
		HandlerTimeout: 30 * time.Second, Poll: 500 * time.Millisecond, Retention: 7 * 24 * time.Hour,
	}
}

// Subscription validates the arguments of Subscribe and returns fault.Invalid. A
// consumer's name follows the rules of event types, without dots.
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

// Pause waits for d, or until wake receives or ctx ends.
func Pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// Backoff is the pause between attempts. It doubles after each failure, from Base up to
// Max, less a random part of up to a half, so that events that failed together are not
// retried together.
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
