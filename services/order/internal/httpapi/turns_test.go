package httpapi

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/pizza/pkg/fault"
)

// However many reads of a member arrive at once, one proceeds at a time. Other
// members do not wait for it, and finished reads leave no state.
func TestMemberReadsOneThingAtATime(t *testing.T) {
	t.Parallel()
	var ts turns
	var reading, most atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			release, err := ts.take(t.Context(), "ada")
			if err != nil {
				t.Error(err)
				return
			}
			if n := reading.Add(1); n > most.Load() {
				most.Store(n)
			}
			other, err := ts.take(t.Context(), "eve")
			if err != nil {
				t.Error(err)
			} else {
				other()
			}
			reading.Add(-1)
			release()
		})
	}
	all.Wait()
	if most.Load() != 1 || len(ts.of) != 0 {
		t.Errorf("%d reads at once, %d members kept", most.Load(), len(ts.of))
	}

	release, err := ts.take(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := ts.take(gone, "ada"); fault.CodeOf(err) != fault.RateLimited {
		t.Errorf("a client that went away: %v", err)
	}
	release()
	if len(ts.of) != 0 {
		t.Errorf("%d members kept", len(ts.of))
	}
}
