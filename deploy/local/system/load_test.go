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

// clients is the number of concurrent clients.
const clients = 6

// load is a set of clients that order continuously, with a key per order. They
// retry an order until it is acknowledged, regardless of errors.
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
	bad []string // unexpected responses
}

// order starts the clients. They run until finish.
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

// finish lets every client complete its current order, and stops it.
func (l *load) finish() {
	l.enough.Store(true)
	l.done.Wait()
}

// waitFor waits until that many more orders are acknowledged, which shows that
// the system works.
func (l *load) waitFor(t *testing.T, more int64) {
	t.Helper()
	for goal := l.placed.Load() + more; l.placed.Load() < goal; {
		wait(t)
	}
}

// orderOne retries one order until it is acknowledged, and sometimes repeats it.
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

// untilAcknowledged returns the body of the 201 response. It returns nil if the
// test ends first or the response is unexpected.
func (l *load) untilAcknowledged(ctx context.Context, key string, body []byte) []byte {
	for ctx.Err() == nil {
		status, answer, err := l.try(ctx, key, body)
		switch {
		case err != nil: // connection lost or refused
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
		select { // deliberately sooner than Retry-After
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
