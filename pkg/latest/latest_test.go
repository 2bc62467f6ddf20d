package latest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/pizza/pkg/latest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("away")

// menu is a source that has a version. took is the duration of a read.
type menu struct {
	mu      sync.Mutex
	version int
	took    time.Duration
	err     error
	reads   int
	loads   int // reads with a new value
}

func (m *menu) read(ctx context.Context, held *int) (*int, error) {
	m.mu.Lock()
	m.reads++
	version, took, err := m.version, m.took, m.err // as of the beginning of the read
	m.mu.Unlock()
	select {
	case <-time.After(took):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	if held != nil && *held == version {
		return held, nil
	}
	m.mu.Lock()
	m.loads++
	m.mu.Unlock()
	return &version, nil
}

func (m *menu) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *menu) count() (reads, loads int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads, m.loads
}

const (
	stale    = time.Minute
	patience = 500 * time.Millisecond
	timeout  = 10 * time.Second
)

type value struct {
	*latest.Value[int]
	t                 *testing.T
	failed, recovered int
}

// keep keeps the version of a menu, in synthetic time.
func keep(t *testing.T, m *menu, f func(*value)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &value{t: t}
		v.Value = latest.New(m.read, latest.Config{
			Stale: stale, Patience: patience, Timeout: timeout,
			Failed:    func(context.Context, error) { v.failed++ },
			Recovered: func(context.Context) { v.recovered++ },
		})
		ctx, stop := context.WithCancel(v.t.Context())
		var running sync.WaitGroup
		running.Go(func() { v.Run(ctx) })
		synctest.Wait()
		f(v)
		stop()
		running.Wait()
		v.Close()
	})
}

// want checks the result of Get, and how long it takes.
func (v *value) want(version int, from latest.From, within time.Duration) {
	v.t.Helper()
	began := time.Now()
	got, origin, err := v.Get(v.t.Context())
	switch {
	case origin != from, (got == nil) != (from == latest.None), got != nil && *got != version:
		v.t.Fatalf("got %v from %s, %v; want %d from %s", got, origin, err, version, from)
	case (err != nil) != (from == latest.Stale || from == latest.None):
		v.t.Fatalf("from %s: error %v", origin, err)
	case time.Since(began) > within:
		v.t.Fatalf("it took %s, more than %s", time.Since(began), within)
	}
}

// A change is seen about a second later, by reads that load only new versions.
func TestChangeIsSeenWithinAboutASecond(t *testing.T) {
	m := &menu{version: 1}
	keep(t, m, func(v *value) {
		v.want(1, latest.Memory, 0)
		for version := 2; version < 10; version++ {
			m.set(func() { m.version = version })
			time.Sleep(latest.Every * 12 / 10)
			v.want(version, latest.Memory, 0)
		}
		m.set(func() { m.version = 1 }) // a backup was restored
		time.Sleep(latest.Every * 12 / 10)
		v.want(1, latest.Memory, 0)
		reads, loads := m.count()
		time.Sleep(100 * latest.Every)
		r, l := m.count()
		if l != loads || r-reads < 90 || r-reads > 112 {
			t.Errorf("%d reads and %d loads in 100 s without a change", r-reads, l-loads)
		}
	})
}

// Newest includes every change before the call, even if a read is running.
func TestNewestBeginsAfterTheCall(t *testing.T) {
	m := &menu{version: 1}
	keep(t, m, func(v *value) {
		m.set(func() { m.took = 100 * time.Millisecond })
		var calls sync.WaitGroup
		for version := 2; version < 50; version++ {
			m.set(func() { m.version = version })
			calls.Go(func() {
				got, err := v.Newest(v.t.Context())
				if err != nil || *got < version {
					t.Errorf("got %v, %v, want %d or newer", got, err, version)
				}
			})
			time.Sleep(7 * time.Millisecond)
		}
		calls.Wait()
	})
}

// However many callers wait, one read runs and at most one more waits.
func TestReadsAreShared(t *testing.T) {
	m := &menu{version: 1, took: 100 * time.Millisecond}
	keep(t, m, func(v *value) {
		before, _ := m.count()
		var calls sync.WaitGroup
		for range 1000 {
			calls.Go(func() {
				if _, err := v.Newest(v.t.Context()); err != nil {
					t.Error(err)
				}
			})
			calls.Go(func() { v.want(1, latest.Read, 200*time.Millisecond) })
		}
		calls.Wait()
		if reads, _ := m.count(); reads-before > 1 {
			t.Errorf("%d reads for 2000 calls", reads-before)
		}
	})
}

// While the source does not answer, the value is served up to its maximum age. No
// caller waits for a source that is known to be down.
func TestSourceAway(t *testing.T) {
	for name, breakIt := range map[string]func(*menu){
		"refuses": func(m *menu) { m.err = errAway },
		"slow":    func(m *menu) { m.took, m.err = 2*time.Second, errAway },
		"silent":  func(m *menu) { m.took = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			m := &menu{version: 1}
			keep(t, m, func(v *value) {
				m.set(func() { breakIt(m); m.version = 2 })
				v.want(1, latest.Memory, 0)
				time.Sleep(latest.Fresh)
				for range 100 {
					v.want(1, latest.Stale, 0)
					time.Sleep(100 * time.Millisecond)
				}
				if s := v.State(); !s.Stale || s.Age < latest.Fresh {
					t.Errorf("state %+v", s)
				}
				time.Sleep(stale)
				ctx, cancel := context.WithTimeout(v.t.Context(), 3*time.Second)
				defer cancel()
				if got, from, err := v.Get(ctx); err == nil || from != latest.None {
					t.Errorf("beyond the maximum age: %v from %s", got, from)
				}
				if s := v.State(); s.Stale || !s.Loaded {
					t.Errorf("state %+v", s)
				}
				m.set(func() { m.took, m.err = 0, nil })
				time.Sleep(timeout + latest.Every*2) // the hanging read ends
				v.want(2, latest.Memory, 0)
				if v.failed != 1 || v.recovered != 1 {
					t.Errorf("told %d times that reads fail, and %d times that they succeed again", v.failed, v.recovered)
				}
			})
		})
	}
}

// The first call that meets a silent source waits no longer than its patience.
func TestPatience(t *testing.T) {
	m := &menu{version: 1}
	synctest.Test(t, func(t *testing.T) { // nothing reads in the background
		v := &value{t: t, Value: latest.New(m.read, latest.Config{Stale: stale, Patience: patience, Timeout: timeout})}
		v.want(1, latest.Read, 0)
		time.Sleep(latest.Fresh)
		m.set(func() { m.took = time.Hour })
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { v.want(1, latest.Stale, patience) })
		}
		calls.Wait()
		v.want(1, latest.Stale, 0)
		v.Close()
	})
}

// A read that began before a write is not kept after it. The writer's next read
// includes the write, and an outdated value is never served.
func TestInvalidate(t *testing.T) {
	m := &menu{version: 1}
	keep(t, m, func(v *value) {
		m.set(func() { m.took = 100 * time.Millisecond })
		time.Sleep(latest.Every * 3 / 2)
		for version := 2; version < 20; version++ {
			var old sync.WaitGroup
			old.Go(func() { _, _ = v.Newest(v.t.Context()) })
			time.Sleep(time.Duration(version) * 7 * time.Millisecond)
			m.set(func() { m.version = version })
			v.Invalidate(v.t.Context())
			old.Wait() // its result is not kept
			v.want(version, latest.Read, 200*time.Millisecond)
			synctest.Wait()
			v.want(version, latest.Memory, 0)
		}
		m.set(func() { m.err = errAway })
		v.Invalidate(v.t.Context())
		v.want(0, latest.None, 200*time.Millisecond)
		if s := v.State(); s.Held != nil || !s.Loaded {
			t.Errorf("state %+v", s)
		}
	})
}

// With no maximum age each call reads.
func TestNothingIsKept(t *testing.T) {
	m := &menu{version: 1}
	synctest.Test(t, func(t *testing.T) {
		v := &value{t: t, Value: latest.New(m.read, latest.Config{Timeout: timeout})}
		for version := range 5 {
			m.set(func() { m.version = version })
			v.want(version, latest.Read, 0)
		}
		m.set(func() { m.err = errAway })
		v.want(0, latest.None, 0)
		v.Close()
	})
}

// A call ends with its context, and Close ends the reads.
func TestEnds(t *testing.T) {
	m := &menu{version: 1, took: time.Hour}
	keep(t, m, func(v *value) {
		ctx, cancel := context.WithCancel(v.t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, _, err := v.Get(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Get: %v", err)
		}
		if _, err := v.Newest(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Newest: %v", err)
		}
	})
}
