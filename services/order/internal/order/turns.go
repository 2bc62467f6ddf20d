package order

import (
	"context"
	"sync"
	"time"

	"example.com/pizza/pkg/fault"
)

// maxTurnWait is the longest wait of a read for other reads of the same member.
const maxTurnWait = time.Second

// turns lets each member read one thing at a time. The others wait outside of the
// gate, so that all that a member can do there is to take one place. The zero
// value is ready to use.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // the members that read now
}

type turn struct {
	room  chan struct{} // holds the one that reads
	users int           // that read or wait
}

// take waits for the member's turn; release must be called when the read is done.
// It returns RateLimited if the member's other reads take too long.
func (t *turns) take(ctx context.Context, memberID string) (release func(), err error) {
	t.mu.Lock()
	own := t.of[memberID]
	if own == nil {
		own = &turn{room: make(chan struct{}, 1)}
		if t.of == nil {
			t.of = map[string]*turn{}
		}
		t.of[memberID] = own
	}
	own.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if own.users--; own.users == 0 {
			delete(t.of, memberID)
		}
	}

	patience, cancel := context.WithTimeout(ctx, maxTurnWait)
	defer cancel()
	select {
	case own.room <- struct{}{}:
		return func() { <-own.room; leave() }, nil
	case <-patience.Done():
		leave()
		return nil, fault.Wrap(patience.Err(), fault.RateLimited, "too many requests at the same time; try again").Retry(maxTurnWait)
	}
}
