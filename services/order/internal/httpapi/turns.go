package httpapi

import (
	"context"
	"sync"
	"time"

	"example.com/pizza/pkg/fault"
)

// maxTurnWait is the longest wait of a read for other reads of the same member.
const maxTurnWait = time.Second

// turns lets each member read one thing at a time. Further reads wait outside the
// gate, so a member takes at most one place there. The zero value is ready to use.
type turns struct {
	mu sync.Mutex
	of map[string]*turn // by member; only members with reads
}

type turn struct {
	slot  chan struct{} // full while a read is running
	users int           // reads that run or wait
}

// take waits for the member's turn, which lasts until release is called. It returns
// RateLimited if the member's other reads take too long.
func (t *turns) take(ctx context.Context, memberID string) (release func(), err error) {
	t.mu.Lock()
	own := t.of[memberID]
	if own == nil {
		own = &turn{slot: make(chan struct{}, 1)}
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
	case own.slot <- struct{}{}:
		return func() { <-own.slot; leave() }, nil
	case <-patience.Done():
		leave()
		return nil, fault.Wrap(patience.Err(), fault.RateLimited, "too many requests at the same time; try again").Retry(maxTurnWait)
	}
}
