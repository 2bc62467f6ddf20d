package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/pizza/deploy/local/stack"
)

// clients is how many people order at the same time.
const clients = 6

// load is clients that order without a pause, each with a key per order, and
// that send an order again until it is acknowledged: whatever they hear or do
// not hear in between.
type load struct {
	replicas []*stack.Service
	web      *http.Client
	token    string
	branch   string
	pizzas   []string

	tries  atomic.Int64
	placed atomic.Int64
	enough atomic.Bool // no further orders
	done   sync.WaitGroup

	mu  sync.Mutex
	log []acknowledged
	bad []string // answers that nothing excuses
}

// order lets the clients begin. They go on until finish.
func (s *chaos) order(t *testing.T, member string) *load {
	t.Helper()
	l := &load{
		replicas: s.replicas, token: s.member(t, member), branch: s.branch(t), pizzas: s.pizzas,
		web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: 15 * time.Second},
	}
	t.Cleanup(l.web.CloseIdleConnections)
	for range clients {
		l.done.Go(func() {
			for !l.enough.Load() && t.Context().Err() == nil {
				l.orderOne(t.Context())
			}
		})
	}
	t.Cleanup(func() { l.enough.Store(true); l.done.Wait() })
	return l
}

// finish lets every client end what it has begun.
func (l *load) finish() {
	l.enough.Store(true)
	l.done.Wait()
}

// waitFor waits until so many more orders are acknowledged: the system works,
// or works again.
func (l *load) waitFor(t *testing.T, more int64) {
	t.Helper()
	for goal := l.placed.Load() + more; l.placed.Load() < goal; {
		wait(t)
	}
}

// orderOne sends one order until it is acknowledged, and now and then once more.
func (l *load) orderOne(ctx context.Context) {
	key := uuid.NewString()
	lines := make([]object, 1+rand.N(3))
	for i := range lines {
		lines[i] = object{"pizza_id": l.pizzas[rand.N(len(l.pizzas))], "quantity": 1 + rand.N(4)}
	}
	body, err := json.Marshal(object{"branchId": l.branch, "lines": lines})
	if err != nil {
		l.complain("write an order: %v", err)
		return
	}
	var first []byte
	for again := rand.N(4) == 0; ; again = false {
		answer := l.untilAcknowledged(ctx, key, body)
		if answer == nil {
			return
		}
		if first == nil {
			first = answer
			l.placed.Add(1)
		} else if !bytes.Equal(first, answer) {
			l.complain("key %s was answered %s and then %s", key, first, answer)
		}
		if !again {
			return
		}
	}
}

// untilAcknowledged returns the body of a 201; nil if the test ends before.
func (l *load) untilAcknowledged(ctx context.Context, key string, body []byte) []byte {
	for ctx.Err() == nil {
		status, answer, err := l.try(ctx, key, body)
		switch {
		case err != nil: // cut off, or nobody there
		case status == http.StatusCreated:
			var o struct {
				OrderID string `json:"order_id"`
			}
			if err := json.Unmarshal(answer, &o); err != nil || o.OrderID == "" {
				l.complain("a 201 without an order: %s", answer)
				return nil
			}
			l.mu.Lock()
			l.log = append(l.log, acknowledged{key, o.OrderID})
			l.mu.Unlock()
			return answer
		case status != http.StatusServiceUnavailable && status != http.StatusConflict:
			l.complain("%d: %s", status, answer)
			return nil
		}
		select { // much sooner than Retry-After asks: this is no polite client
		case <-time.After(time.Millisecond + rand.N(20*time.Millisecond)):
		case <-ctx.Done():
		}
	}
	return nil
}

func (l *load) try(ctx context.Context, key string, body []byte) (status int, answer []byte, err error) {
	l.tries.Add(1)
	replica := l.replicas[rand.N(len(l.replicas))]
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+replica.Public+"/order/", bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", mediaJSON)
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Idempotency-Key", key)
	resp, err := l.web.Do(r)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

func (l *load) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.bad) < 20 {
		l.bad = append(l.bad, fmt.Sprintf(format, args...))
	}
}
