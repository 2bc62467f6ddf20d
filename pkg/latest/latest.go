// Package latest keeps the latest version of a value that is read often, changes seldom,
// and belongs to a database or another service.
//
// A Value reads its source about once a second in the background, by a conditional read
// that is cheap while nothing has changed. Callers are served from memory, and see a
// change about a second late. No change needs a notification, which could be lost or
// forged.
//
// A caller that needs the current value requests a read that begins after its call
// (Newest). All callers share reads: one runs at a time, and at most one more waits for it.
//
// While the source does not answer, the last value serves up to a maximum age. Callers
// then wait for the source only without a usable value, or for the first read that hangs,
// for a bounded time.
package latest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// Every is the pause between two reads in the background: short enough that a delay
	// goes unnoticed, and a negligible load on both sides.
	Every = time.Second
	// Fresh is the maximum age of a current value. It tolerates one read that fails or is
	// slow; after two, callers read for themselves.
	Fresh = 3 * time.Second
)

// Source reads the latest value. It returns held itself if held is still the latest. held
// is nil before the first value.
type Source[T any] func(ctx context.Context, held *T) (*T, error)

// Config bounds the use of a value.
type Config struct {
	// Stale is the maximum age of a value that serves while the source does not answer. No
	// older value is used: with 0, each call reads the source.
	Stale time.Duration
	// Patience is the maximum wait for a read while there is a usable value.
	Patience time.Duration
	// Timeout bounds a read, which callers share.
	Timeout time.Duration
	// Failed and Recovered, if not nil, are called when reads begin to fail, and when they
	// succeed again.
	Failed    func(ctx context.Context, err error)
	Recovered func(ctx context.Context)
}

// From is the origin of a value.
type From string

// The origins of a value.
const (
	Memory From = "memory" // it is fresh
	Read   From = "read"   // it was read for this call
	Stale  From = "stale"  // the source does not answer
	None   From = "none"   // there is no value
)

// ErrSlow is the reason for a stale value while a read hangs.
var ErrSlow = errors.New("no answer within the time that a caller waits")

// Value keeps the latest value of type T. Create it with New, Run it, and Close it.
type Value[T any] struct {
	source Source[T]
	config Config

	ctx   context.Context // ends with Close
	stop  context.CancelFunc
	reads sync.WaitGroup

	mu      sync.Mutex
	held    *T
	at      time.Time // when the read that returned held began
	loaded  bool      // there was a value
	err     error     // of the last read
	begun   int64     // reads so far
	valid   int64     // number of the first read whose value may be kept
	running *read[T]
	next    *read[T] // begins when running ends
}

// read is one read of the source, which its callers share.
type read[T any] struct {
	ctx    context.Context // of the first caller, without its end: for its trace
	number int64
	began  time.Time
	done   chan struct{}

	value *T // after done, as is err
	err   error
}

// New returns a Value without a value.
func New[T any](source Source[T], c Config) *Value[T] {
	ctx, stop := context.WithCancel(context.Background()) //nolint:gosec // Close calls stop
	return &Value[T]{source: source, config: c, ctx: ctx, stop: stop}
}

// Run reads the source until ctx ends.
func (v *Value[T]) Run(ctx context.Context) {
	for ctx.Err() == nil {
		v.mu.Lock()
		r := v.join(ctx)
		v.mu.Unlock()
		_, _ = wait(ctx, r) // an error is kept in v
		select {
		case <-time.After(Every*9/10 + rand.N(Every/5)): //nolint:gosec // spread, not a secret
		case <-ctx.Done():
		}
	}
}

// Close ends running reads. The Value must not be used afterwards.
func (v *Value[T]) Close() {
	v.stop()
	v.reads.Wait()
}

// Get returns a value that is fresh or was read for the call. While the source does not
// answer, it returns a stale value and the reason, or nil and the error.
func (v *Value[T]) Get(ctx context.Context) (*T, From, error) {
	v.mu.Lock()
	held, age := v.held, time.Since(v.at)
	usable := held != nil && age < v.config.Stale
	switch {
	case usable && age < Fresh:
		v.mu.Unlock()
		return held, Memory, nil
	case usable && v.err != nil:
		defer v.mu.Unlock()
		return held, Stale, v.err
	case usable && v.running != nil && time.Since(v.running.began) >= v.config.Patience:
		v.mu.Unlock()
		return held, Stale, ErrSlow
	}
	r := v.join(ctx)
	v.mu.Unlock()

	waiting := ctx
	if usable {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, v.config.Patience, ErrSlow)
		defer cancel()
	}
	value, err := wait(waiting, r)
	switch {
	case err == nil:
		return value, Read, nil
	case usable && ctx.Err() == nil:
		return held, Stale, err
	default:
		return nil, None, err
	}
}

// Newest returns the value of a read that begins after the call.
func (v *Value[T]) Newest(ctx context.Context) (*T, error) {
	v.mu.Lock()
	r := v.request(ctx)
	v.mu.Unlock()
	return wait(ctx, r)
}

// Invalidate drops the value after a change by the caller: the next call waits for a read
// that begins now.
func (v *Value[T]) Invalidate(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.held, v.valid = nil, v.begun+1
	v.request(ctx)
}

// State describes a value at one moment.
type State[T any] struct {
	Held   *T            // nil for none
	Age    time.Duration // since Held was known to be the latest
	Loaded bool          // there was a value
	Stale  bool          // Held serves although it is not fresh
}

// State returns the current state.
func (v *Value[T]) State() State[T] {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := State[T]{Held: v.held, Loaded: v.loaded}
	if s.Held != nil {
		s.Age = time.Since(v.at)
		s.Stale = s.Age >= Fresh && s.Age < v.config.Stale
	}
	return s
}

// wait returns the result of r.
func wait[T any](ctx context.Context, r *read[T]) (*T, error) {
	select {
	case <-r.done:
		return r.value, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// join returns the running read if its value may be kept, or else the next one.
// The caller has the lock.
func (v *Value[T]) join(ctx context.Context) *read[T] {
	if v.running != nil && v.running.number >= v.valid {
		return v.running
	}
	return v.request(ctx)
}

// request returns a read that has not begun yet, or begins now. The caller has
// the lock.
func (v *Value[T]) request(ctx context.Context) *read[T] {
	if v.next != nil {
		return v.next
	}
	r := &read[T]{ctx: context.WithoutCancel(ctx), done: make(chan struct{})}
	if v.running != nil {
		v.next = r
	} else {
		v.begin(r) //nolint:contextcheck // r has the context of its first caller, without its end
	}
	return r
}

// begin starts a read. The caller has the lock.
func (v *Value[T]) begin(r *read[T]) {
	v.begun++
	r.number, r.began = v.begun, time.Now()
	v.running = r
	held := v.held
	v.reads.Go(func() {
		ctx, cancel := context.WithTimeout(r.ctx, v.config.Timeout)
		defer cancel()
		defer context.AfterFunc(v.ctx, cancel)()
		value, err := v.source(ctx, held)
		v.end(r, value, err)
	})
}

// end keeps the value of a read, unless it may be outdated, and begins the next.
func (v *Value[T]) end(r *read[T], value *T, err error) {
	r.value, r.err = value, err
	v.mu.Lock()
	failed, recovered := err != nil && v.err == nil, err == nil && v.err != nil
	v.err = err
	if err == nil && r.number >= v.valid {
		v.held, v.at, v.loaded = value, r.began, true
	}
	v.running = nil
	if v.next != nil {
		next := v.next
		v.next = nil
		v.begin(next)
	}
	v.mu.Unlock()
	close(r.done)
	switch {
	case v.ctx.Err() != nil: // the end of the process says nothing about the source
	case failed && v.config.Failed != nil:
		v.config.Failed(r.ctx, err)
	case recovered && v.config.Recovered != nil:
		v.config.Recovered(r.ctx)
	}
}
