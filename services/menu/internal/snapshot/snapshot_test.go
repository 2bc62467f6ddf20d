package snapshot_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/latest"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// source is a database whose responses the test controls; the tests of package
// app use the real one.
type source struct {
	menu.Writer // only types are written here

	mu      sync.Mutex
	version int64
	err     error
	silent  bool // never responds
	loads   int
	marks   int
}

func (s *source) Catalog(context.Context) (*menu.Catalog, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	c := menu.NewCatalog(s.version, nil, nil)
	c.Mark.ID = fmt.Sprint(c.Version)
	return c, s.err
}

func (s *source) Mark(ctx context.Context) (menu.Mark, error) {
	s.mu.Lock()
	s.marks++
	m, err, silent := menu.Mark{ID: fmt.Sprint(s.version)}, s.err, s.silent
	s.mu.Unlock()
	if silent {
		<-ctx.Done()
		return menu.Mark{}, ctx.Err()
	}
	return m, err
}

func (s *source) PutType(context.Context, menu.Type) (menu.Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return menu.Change{}, s.err
	}
	s.version++
	return menu.Change{Version: s.version}, nil
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

// shared is a cache shared by replicas.
type shared struct {
	mu       sync.Mutex
	catalogs map[string]*menu.Catalog
}

func (s *shared) Get(_ context.Context, mark menu.Mark) *menu.Catalog {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.catalogs[mark.ID]
}

func (s *shared) Put(_ context.Context, c *menu.Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalogs[c.Mark.ID] = c
}

const maxStale = 10 * time.Minute

type keeper struct {
	*snapshot.Keeper
	t *testing.T
}

// keep runs a keeper on a fake clock.
func keep(t *testing.T, s *source, cache snapshot.Cache, f func(keeper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := keeper{snapshot.New(s, cache, snapshot.Config{MaxStale: maxStale}, slog.New(slog.DiscardHandler), prometheus.NewRegistry()), t}
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { k.Run(ctx) })
		synctest.Wait()
		f(k)
		stop()
		running.Wait()
		k.Close()
	})
}

// recent checks what readers get; 0 means nothing.
func (k keeper) recent(version int64) {
	k.t.Helper()
	k.want("CurrentOrStale", k.CurrentOrStale, version)
}

// exact checks what prices are based on; 0 means nothing.
func (k keeper) exact(version int64) {
	k.t.Helper()
	k.want("Current", k.Current, version)
}

func (k keeper) want(name string, read func(context.Context) (*menu.Catalog, error), version int64) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 5*time.Second)
	defer cancel()
	c, err := read(ctx)
	switch {
	case version == 0 && fault.CodeOf(err) != fault.Unavailable:
		k.t.Fatalf("%s: %+v, %v, want none", name, c, err)
	case version != 0 && (err != nil || c.Version != version):
		k.t.Fatalf("%s: %+v, %v, want version %d", name, c, err, version)
	}
}

func (k keeper) ready(want bool) {
	k.t.Helper()
	if err := k.Check().Run(k.t.Context()); (err == nil) != want {
		k.t.Errorf("ready: %v, want %v", err, want)
	}
}

var errAway = fault.New(fault.Unavailable, "away")

// Readers see another replica's change about a second later, and callers that
// price see it at once. While nothing changes, only the mark is queried.
func TestChangeOfOthers(t *testing.T) {
	t.Parallel()
	s := &source{version: 1}
	keep(t, s, nil, func(k keeper) {
		k.recent(1)
		time.Sleep(time.Minute)
		for range 100 {
			k.recent(1)
		}
		if loads, marks := s.counts(); loads != 1 || marks > 70 {
			t.Errorf("%d loads, %d marks in a minute", loads, marks)
		}
		s.set(func() { s.version = 2 })
		k.exact(2)
		k.recent(2)
		s.set(func() { s.version = 3 })
		time.Sleep(latest.Every * 12 / 10)
		k.recent(3)
		s.set(func() { s.version = 1 }) // a backup was restored
		k.exact(1)
		k.recent(1)
	})
}

// A write through this replica is visible in its next read.
func TestOwnWrite(t *testing.T) {
	t.Parallel()
	s := &source{version: 1}
	keep(t, s, nil, func(k keeper) {
		for version := int64(2); version < 20; version++ {
			if _, err := k.PutType(k.t.Context(), menu.Type{}); err != nil {
				t.Fatal(err)
			}
			k.recent(version)
		}
		s.set(func() { s.err = errAway })
		if _, err := k.PutType(k.t.Context(), menu.Type{}); err == nil {
			t.Error("written without a database")
		}
		k.recent(19) // a failed write leaves the menu unchanged
	})
}

// Without the database, the menu is served up to the maximum age, and nothing
// is priced. The replica stays ready: a shared outage must not take all down.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*source){
		"refuses": func(s *source) { s.err = errAway },
		"silent":  func(s *source) { s.silent = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &source{version: 1}
			keep(t, s, nil, func(k keeper) {
				k.ready(true)
				s.set(func() { breakIt(s); s.version = 2 })
				k.recent(1)
				k.exact(0)
				time.Sleep(latest.Fresh)
				k.recent(1)
				time.Sleep(maxStale - 10*time.Second)
				k.recent(1)
				k.ready(true)
				time.Sleep(10 * time.Second)
				k.recent(0)
				k.ready(true)
				s.set(func() { s.err, s.silent = nil, false })
				time.Sleep(12 * time.Second) // a hanging read times out
				k.recent(2)
				k.exact(2)
			})
		})
	}
}

// A replica that starts without the database has nothing to serve.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	s := &source{version: 1, err: errAway}
	keep(t, s, nil, func(k keeper) {
		k.recent(0)
		k.ready(false)
		s.set(func() { s.err = nil })
		time.Sleep(latest.Every * 12 / 10)
		k.ready(true)
		k.recent(1)
	})
}

// Of several replicas one loads a new catalog; the others take it from the cache.
func TestSharedCache(t *testing.T) {
	t.Parallel()
	cache := &shared{catalogs: map[string]*menu.Catalog{}}
	first, second := &source{version: 1}, &source{version: 1}
	keep(t, first, cache, func(k keeper) { k.recent(1) })
	keep(t, second, cache, func(k keeper) { k.recent(1) })
	if loads, _ := first.counts(); loads != 1 {
		t.Errorf("the first replica has loaded %d times", loads)
	}
	if loads, _ := second.counts(); loads != 0 {
		t.Errorf("the second replica has loaded %d times", loads)
	}
}
