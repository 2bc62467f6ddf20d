// Package eventstest is the test suite for event transports.
package eventstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/pizza/pkg/events"
)

// patience bounds each wait of the suite. Passing tests do not depend on it.
const patience = time.Minute

// Backend is an event store that is still empty.
type Backend interface {
	// Connect returns a transport as a separate process would have it.
	Connect(t *testing.T) events.Transport
	// Interrupt breaks all connections between the transports and the store, as a
	// restart does. No stored event may be lost.
	Interrupt(t *testing.T)
	// Parked returns the number of events parked for a consumer.
	Parked(t *testing.T, consumer string) int
}

// Config returns the configuration of a Backend's transports.
func Config() events.Config {
	return events.Config{
		MaxAttempts: 3, RetryBase: 5 * time.Millisecond, RetryMax: 50 * time.Millisecond,
		HandlerTimeout: 2 * time.Second, Poll: 100 * time.Millisecond, Retention: time.Hour,
	}
}

// Run tests a transport against the contract of events.Transport. open returns a
// new Backend each time.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	for name, test := range map[string]func(*testing.T, Backend){
		"a consumer gets what is published, of the types it asked for": testTypes,
		"a new consumer gets what was published before it":             testBacklog,
		"a consumer goes on where it stopped":                          testDurable,
		"an event in work is delivered again when its consumer stops":  testStopped,
		"an event comes again after an error":                          testRedelivery,
		"the same id again is not delivered again":                     testDuplicate,
		"a subject keeps its order through errors":                     testOrder,
		"each consumer gets every event":                               testConsumers,
		"instances of one consumer share the events":                   testInstances,
		"an event that always fails is set aside":                      testPoison,
		"a broken connection loses nothing":                            testInterrupt,
		"a wrong event or subscription is refused":                     testWrong,
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// event returns the n-th event of a subject.
func event(subject string, n int) events.Event {
	return events.Event{
		ID: fmt.Sprintf("%s-%d", subject, n), Source: "/test", Type: "thing.changed", Subject: subject,
		Time: time.Date(2026, 11, 20, 9, 0, n, 0, time.UTC), Data: json.RawMessage(fmt.Sprint(n)),
	}
}

// publish retries until the transport accepts each event, as a relay does.
func publish(t *testing.T, to events.Transport, all ...events.Event) {
	t.Helper()
	for _, e := range all {
		eventually(t, "published", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			return to.Publish(ctx, e) == nil
		})
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// log records the events that consumers handled, in order.
type log struct {
	mu  sync.Mutex
	ids []string
}

func (l *log) add(e events.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, e.ID)
}

func (l *log) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.ids...)
}

// handle is a handler that always succeeds.
func (l *log) handle(_ context.Context, e events.Event) error {
	l.add(e)
	return nil
}

// wait waits until n different events of a subject were handled, and returns their
// IDs without duplicates.
func (l *log) wait(t *testing.T, subject string, n int) []string {
	t.Helper()
	var ids []string
	eventually(t, fmt.Sprintf("%d events of %s", n, subject), func() bool {
		ids = nil
		seen := map[string]bool{}
		for _, id := range l.all() {
			if strings.HasPrefix(id, subject+"-") && !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		return len(ids) >= n
	})
	return ids
}

// subscribe subscribes until the function it returns is called, or the test ends.
func subscribe(t *testing.T, to events.Transport, consumer string, handle events.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := to.Subscribe(ctx, consumer, []string{"thing.changed"}, handle); err != nil {
			t.Errorf("subscription of %s ended: %v", consumer, err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(stop)
	return stop
}

func inOrder(t *testing.T, got []string, subject string) {
	t.Helper()
	for n, id := range got {
		if want := fmt.Sprintf("%s-%d", subject, n); id != want {
			t.Fatalf("came as %v: %s is not %s", got, id, want)
		}
	}
}

func testTypes(t *testing.T, b Backend) {
	to := b.Connect(t)
	got := make(chan events.Event, 10)
	subscribe(t, to, "reader", func(_ context.Context, e events.Event) error { got <- e; return nil })
	other := event("other", 0)
	other.Type = "thing.changed.not"
	want := event("a", 7)
	want.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	publish(t, to, other, want)
	select {
	case e := <-got:
		e.DataType = "" // now "application/json", which means the same
		if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) {
			t.Errorf("got %+v, want %+v", e, want)
		}
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
}

func testBacklog(t *testing.T, b Backend) {
	to := b.Connect(t)
	for n := range 5 {
		publish(t, to, event("a", n))
	}
	var got log
	subscribe(t, to, "late", got.handle)
	inOrder(t, got.wait(t, "a", 5), "a")
}

func testDurable(t *testing.T, b Backend) {
	to := b.Connect(t)
	var before, after log
	stop := subscribe(t, to, "reader", before.handle)
	publish(t, to, event("a", 0), event("a", 1))
	before.wait(t, "a", 2)
	stop()
	publish(t, to, event("a", 2), event("a", 3))
	subscribe(t, b.Connect(t), "reader", after.handle)
	if got := after.wait(t, "a", 2); strings.Join(got, " ") != "a-2 a-3" {
		t.Errorf("after the restart came %v", got)
	}
}

func testStopped(t *testing.T, b Backend) {
	to := b.Connect(t)
	began := make(chan struct{})
	stop := subscribe(t, to, "reader", func(ctx context.Context, _ events.Event) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	publish(t, to, event("a", 0))
	<-began
	stop()
	var got log
	subscribe(t, b.Connect(t), "reader", got.handle)
	got.wait(t, "a", 1)
}

func testRedelivery(t *testing.T, b Backend) {
	to := b.Connect(t)
	attempts := 0
	var got log
	subscribe(t, to, "reader", func(_ context.Context, e events.Event) error {
		if attempts++; attempts < Config().MaxAttempts {
			return errors.New("not yet")
		}
		got.add(e)
		return nil
	})
	publish(t, to, event("a", 0))
	got.wait(t, "a", 1)
	if n := b.Parked(t, "reader"); n != 0 {
		t.Errorf("%d events are set aside", n)
	}
}

func testDuplicate(t *testing.T, b Backend) {
	to := b.Connect(t)
	var got log
	subscribe(t, to, "reader", got.handle)
	publish(t, to, event("a", 0), event("a", 0))
	publish(t, b.Connect(t), event("a", 0), event("a", 1))
	got.wait(t, "a", 2)
	if ids := strings.Join(got.all(), " "); ids != "a-0 a-1" {
		t.Errorf("came %s", ids)
	}
}

func testOrder(t *testing.T, b Backend) {
	to := b.Connect(t)
	var got log
	var mu sync.Mutex
	attempts := map[string]int{}
	handle := func(_ context.Context, e events.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if attempts[e.ID]++; attempts[e.ID] == 1 && len(attempts)%3 == 0 {
			return errors.New("once more")
		}
		got.add(e)
		return nil
	}
	subscribe(t, to, "reader", handle)
	subscribe(t, b.Connect(t), "reader", handle)
	const subjects, each = 4, 10
	for n := range each {
		for s := range subjects {
			publish(t, to, event(fmt.Sprint("s", s), n))
		}
	}
	for s := range subjects {
		inOrder(t, got.wait(t, fmt.Sprint("s", s), each), fmt.Sprint("s", s))
	}
}

func testConsumers(t *testing.T, b Backend) {
	to := b.Connect(t)
	var one, two log
	subscribe(t, to, "one", one.handle)
	subscribe(t, to, "two", two.handle)
	for n := range 10 {
		publish(t, to, event("a", n))
	}
	inOrder(t, one.wait(t, "a", 10), "a")
	inOrder(t, two.wait(t, "a", 10), "a")
}

func testInstances(t *testing.T, b Backend) {
	var got log
	subscribe(t, b.Connect(t), "reader", got.handle)
	stop := subscribe(t, b.Connect(t), "reader", got.handle)
	to := b.Connect(t)
	const subjects = 40
	for s := range subjects {
		publish(t, to, event(fmt.Sprint("s", s), 0))
	}
	for s := range subjects {
		got.wait(t, fmt.Sprint("s", s), 1)
	}
	if n := len(got.all()); n != subjects {
		t.Errorf("%d events were handled %d times", subjects, n)
	}
	stop()
	for s := range subjects {
		publish(t, to, event(fmt.Sprint("s", s), 1))
	}
	for s := range subjects {
		got.wait(t, fmt.Sprint("s", s), 2)
	}
}

func testPoison(t *testing.T, b Backend) {
	to := b.Connect(t)
	var mu sync.Mutex
	attempts := 0
	var got log
	subscribe(t, to, "reader", func(_ context.Context, e events.Event) error {
		if e.ID == "a-1" {
			mu.Lock()
			defer mu.Unlock()
			attempts++
			return errors.New("poison")
		}
		got.add(e)
		return nil
	})
	publish(t, to, event("a", 0), event("a", 1), event("a", 2))
	if ids := got.wait(t, "a", 2); strings.Join(ids, " ") != "a-0 a-2" {
		t.Errorf("came %v", ids)
	}
	eventually(t, "set aside", func() bool { return b.Parked(t, "reader") == 1 })
	mu.Lock()
	defer mu.Unlock()
	if attempts != Config().MaxAttempts {
		t.Errorf("set aside after %d attempts", attempts)
	}
}

func testInterrupt(t *testing.T, b Backend) {
	to := b.Connect(t)
	var got log
	subscribe(t, b.Connect(t), "reader", got.handle)
	const each = 30
	for n := range each {
		if n%10 == 5 {
			b.Interrupt(t)
		}
		publish(t, to, event("a", n))
	}
	inOrder(t, got.wait(t, "a", each), "a")
	publish(t, to, event("b", 0))
	got.wait(t, "b", 1)
}

func testWrong(t *testing.T, b Backend) {
	to := b.Connect(t)
	if err := to.Publish(t.Context(), events.Event{}); err == nil {
		t.Error("published an invalid event")
	}
	handle := func(context.Context, events.Event) error { return nil }
	for name, s := range map[string]struct {
		consumer string
		types    []string
	}{
		"no consumer":        {"", []string{"thing.changed"}},
		"a consumer in dots": {"a.b", []string{"thing.changed"}},
		"no type":            {"reader", nil},
		"a wildcard":         {"reader", []string{"thing.*"}},
	} {
		if err := to.Subscribe(t.Context(), s.consumer, s.types, handle); err == nil {
			t.Errorf("subscribed with %s", name)
		}
	}
}
