package eventstest

import (
	"context"
	"sync"
	"testing"

	"example.com/pizza/pkg/events"
)

// Collect subscribes to events of the given types until the test ends, and hands
// them over one at a time.
func Collect(tb testing.TB, from events.Transport, types ...string) <-chan events.Event {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var subscribed sync.WaitGroup
	tb.Cleanup(func() { stop(); subscribed.Wait() })
	got := make(chan events.Event)
	subscribed.Go(func() {
		err := from.Subscribe(ctx, "collector", types, func(ctx context.Context, e events.Event) error {
			select {
			case got <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			tb.Error(err)
		}
	})
	return got
}
