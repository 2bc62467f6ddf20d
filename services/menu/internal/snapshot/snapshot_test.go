package snapshot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a database whose answers the test holds back: what a real one does
// at one moment in a thousand. The tests of package app have the real one.
type source struct {
	menu.Writer // no test writes here

	mu      sync.Mutex
	version int64
	err     error
	loads   int
	marks   int
	silent  bool          // a mark never comes
	hold    chan struct{} // a load waits for it, after it has read
	reading chan struct{} // gets a value when a load has read
}

func (s *source) Catalog(ctx context.Context) (*menu.Catalog, error) {
	s.mu.Lock()
	s.loads++
	c, err, hold, reading := menu.NewCatalog(s.version, nil, nil), s.err, s.hold, s.reading
	s.mu.Unlock()
	c.Mark = fmt.Sprint(c.Version)
	if hold != nil {
		reading <- struct{}{}
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c, err
}

func (s *source) Mark(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks++
	if s.silent {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return fmt.Sprint(s.version), s.err
}

func (s *source) PutType(context.Context, menu.Type) (menu.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	return menu.Change{Version: s.version}, s.err
}

func (s *source) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *source) counts() (loads, marks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads, s.marks
}

type keeper struct {
	*snapshot.Keeper
	t *testing.T
}

func keep(t *testing.T, s *source, c snapshot.Config) keeper {
	t.Helper()
	k := snapshot.New(s, nil, c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	t.Cleanup(k.Close)
	return keeper{k, t}
}

func long() snapshot.Config { return snapshot.Config{MaxAge: time.Hour, MaxStale: time.Hour} }

func (k keeper) connect()              { k.Handler().Connected(k.t.Context()) }
func (k keeper) notify(payload string) { k.Handler().Notified(k.t.Context(), payload) }
func (k keeper) lose()                 { k.Handler().Lost(errors.New("cut")) }

func (k keeper) want(version int64) {
	k.t.Helper()
	for name, read := range map[string]func(context.Context) (*menu.Catalog, error){"Catalog": k.Catalog, "Recent": k.Recent} {
		c, err := read(k.t.Context())
		if err != nil || c.Version != version {
			k.t.Fatalf("%s: %+v, %v, want version %d", name, c, err, version)
		}
	}
}

var errAway = fault.New(fault.Unavailable, "away")

func TestListening(t *testing.T) {
	t.Parallel()
	s := &source{version: 1}
	k := keep(t, s, long())
	k.connect()
	for range 10 {
		k.want(1)
	}
	if loads, marks := s.counts(); loads != 1 || marks != 0 {
		t.Errorf("%d loads, %d marks, want one load", loads, marks)
	}
	s.set(func() { s.version = 2 })
	k.want(1) // nobody has told it
	k.notify("2")
	k.want(2)
	k.notify("2")
	k.notify("1")
	k.notify("rubbish")
	k.want(2)
	if loads, marks := s.counts(); loads != 2 || marks != 0 {
		t.Errorf("%d loads, %d marks, want two loads", loads, marks)
	}
}

// While nothing is heard, each read asks; a new connection reloads.
func TestLost(t *testing.T) {
	t.Parallel()
	s := &source{version: 1}
	k := keep(t, s, long())
	k.want(1)
	s.set(func() { s.version = 2 })
	k.want(2)
	k.connect()
	k.want(2)
	k.lose()
	s.set(func() { s.version = 3 })
	k.want(3)
	loads, marks := s.counts()
	k.want(3)
	if l, m := s.counts(); l != loads || m != marks+2 {
		t.Errorf("%d loads and %d marks for two reads, want the marks alone", l-loads, m-marks)
	}
	s.set(func() { s.version = 1 }) // a backup was restored
	k.want(1)
	k.connect()
	k.want(1)
	s.set(func() { s.version = 2 })
	k.notify("2")
	k.want(2)
}

// Who keeps what it gets has all that was committed before it asked, whatever was
// announced, and whatever is being read.
func TestCommitted(t *testing.T) {
	t.Parallel()
	s := &source{version: 1}
	k := keep(t, s, long())
	committed := func(version int64) {
		t.Helper()
		if c, err := k.Committed(t.Context()); err != nil || c.Version != version {
			t.Errorf("%+v, %v, want version %d", c, err, version)
		}
	}
	committed(1)
	k.connect()
	k.want(1)
	loads, _ := s.counts()
	committed(1)
	if l, _ := s.counts(); l != loads {
		t.Error("what has not changed is loaded again")
	}
	s.set(func() { s.version = 2 })
	k.want(1) // nobody has told it
	committed(2)
	k.want(2)
	k.notify("2")
	k.want(2)

	held := make(chan struct{})
	s.set(func() { s.hold, s.reading = held, make(chan struct{}, 100) })
	k.notify("3") // and version 2 is read, as if from a moment before
	<-s.reading
	s.set(func() { s.hold, s.version = nil, 4 })
	var asked sync.WaitGroup
	asked.Go(func() { committed(4) })
	close(held)
	asked.Wait()
	s.set(func() { s.err = errAway })
	if _, err := k.Committed(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("without the database: %v", err)
	}
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	s := &source{version: 1}
	k := keep(t, s, snapshot.Config{MaxAge: time.Nanosecond, MaxStale: time.Hour})
	k.connect()
	k.want(1)
	s.set(func() { s.version = 2 })
	k.want(2)
}

func TestOneLoadForAll(t *testing.T) {
	t.Parallel()
	s := &source{version: 1, hold: make(chan struct{}), reading: make(chan struct{}, 100)}
	k := keep(t, s, long())
	k.connect()
	<-s.reading
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if c, err := k.Recent(t.Context()); err != nil || c.Version != 1 {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
	close(s.hold)
	all.Wait()
	if loads, _ := s.counts(); loads != 1 {
		t.Errorf("%d loads", loads)
	}
}

// A load that read before an announcement, a write, or a new connection is over
// when that comes: the next read has what is newer.
func TestOvertakenLoad(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(keeper, *source){
		"announcement": func(k keeper, s *source) {
			s.set(func() { s.version = 2 })
			k.notify("2")
		},
		"own_write": func(k keeper, _ *source) {
			if _, err := k.PutType(t.Context(), menu.Type{}); err != nil {
				t.Error(err)
			}
		},
		"new_connection": func(k keeper, s *source) {
			k.lose()
			s.set(func() { s.version = 2 })
			k.connect()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := make(chan struct{})
			s := &source{version: 1, hold: first, reading: make(chan struct{}, 100)}
			k := keep(t, s, long())
			k.connect()
			<-s.reading // version 1 is read, and not delivered
			s.set(func() { s.hold = nil })
			change(k, s)
			k.want(2)
			close(first)
			k.want(2)
			k.want(2)
		})
	}
}

// Without the database, who only looks is served for a while; what is known to
// be outdated is for nobody.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	away := func(s *source, k keeper) {
		s.set(func() { s.err = errAway })
		k.lose()
	}
	recent := func(k keeper) int64 {
		t.Helper()
		if _, err := k.Catalog(t.Context()); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("Catalog: %v", err)
		}
		c, err := k.Recent(t.Context())
		if err != nil {
			if fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("Recent: %v", err)
			}
			return 0
		}
		return c.Version
	}
	t.Run("recent", func(t *testing.T) {
		t.Parallel()
		s := &source{version: 1}
		k := keep(t, s, long())
		k.connect()
		k.want(1)
		away(s, k)
		if got := recent(k); got != 1 {
			t.Errorf("shows version %d", got)
		}
		_, marks := s.counts()
		for range 100 {
			_, _ = k.Recent(t.Context())
		}
		if _, m := s.counts(); m-marks > 10 {
			t.Errorf("a database that has failed is asked %d times for 100 reads", m-marks)
		}
		s.set(func() { s.err, s.version = nil, 2 })
		k.connect()
		if c, err := k.Catalog(t.Context()); err != nil || c.Version != 2 {
			t.Errorf("afterwards: %+v, %v", c, err)
		}
		k.want(2)
	})
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		s := &source{version: 1}
		k := keep(t, s, long())
		k.want(1)
		s.set(func() { s.silent = true })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 100 { // one of them waits
			if c, err := k.Recent(ctx); err != nil || c.Version != 1 {
				t.Fatalf("%+v, %v", c, err)
			}
		}
	})
	t.Run("too_old", func(t *testing.T) {
		t.Parallel()
		s := &source{version: 1}
		k := keep(t, s, snapshot.Config{MaxAge: time.Hour})
		k.connect()
		k.want(1)
		away(s, k)
		if got := recent(k); got != 0 {
			t.Errorf("shows version %d", got)
		}
	})
	t.Run("known_to_be_outdated", func(t *testing.T) {
		t.Parallel()
		s := &source{version: 1}
		k := keep(t, s, long())
		k.connect()
		k.want(1)
		if _, err := k.PutType(t.Context(), menu.Type{}); err != nil {
			t.Fatal(err)
		}
		away(s, k)
		if got := recent(k); got != 0 {
			t.Errorf("shows version %d after a write", got)
		}
	})
	t.Run("nothing_held", func(t *testing.T) {
		t.Parallel()
		s := &source{err: errAway}
		k := keep(t, s, long())
		if got := recent(k); got != 0 {
			t.Errorf("shows version %d", got)
		}
	})
}
