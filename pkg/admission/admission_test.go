package admission_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/fault"
)

// gate is a gate under test. Tests of time run in a bubble: no real time passes, and
// synctest.Wait returns when all goroutines are blocked.
type gate struct {
	*admission.Gate
	registry *prometheus.Registry
	wait     time.Duration
}

func newGate(l admission.Limits) gate {
	registry := prometheus.NewRegistry()
	return gate{admission.New("oven", l, slog.New(slog.DiscardHandler), registry), registry, l.Wait}
}

// enter calls Enter, which must succeed.
func (g gate) enter(t testing.TB) (leave func()) {
	t.Helper()
	leave, err := g.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return leave
}

// mustRefuse checks the error of a rejected caller.
func (g gate) mustRefuse(t testing.TB, err error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || !errors.Is(err, admission.ErrBusy) || f.Code != fault.Unavailable {
		t.Fatalf("let in, or refused as %v", err)
	}
	if f.RetryAfter < g.wait || f.RetryAfter >= 3*g.wait {
		t.Errorf("told to come back after %s, with waits of %s", f.RetryAfter, g.wait)
	}
}

// count returns one number of the gate: a gauge, a counter, or the observations of a
// histogram.
func (g gate) count(t testing.TB, name, reason string) int {
	t.Helper()
	families, err := g.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (reason == "" || m.GetLabel()[0].GetValue() == reason) {
				return int(m.GetGauge().GetValue()+m.GetCounter().GetValue()) + int(m.GetHistogram().GetSampleCount())
			}
		}
	}
	t.Fatalf("there is no %s %s", name, reason)
	return 0
}

// A full queue rejects without waiting. No caller leaves meanwhile, and the clock of
// the bubble stands still unless a goroutine waits for it. So no time passes.
func TestFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admission.Limits{Concurrency: 2, Queue: 3, Wait: time.Minute})
		leave := []func(){g.enter(t), g.enter(t)}
		var queued sync.WaitGroup
		for range 3 {
			queued.Go(func() { g.enter(t)() })
		}
		synctest.Wait()
		if n, m := g.count(t, "oven_admission_in_work", ""), g.count(t, "oven_admission_queued", ""); n != 2 || m != 3 {
			t.Errorf("%d in work, %d queued", n, m)
		}
		began := time.Now()
		for range 1000 {
			_, err := g.Enter(t.Context())
			g.mustRefuse(t, err)
		}
		g.mustRefuse(t, g.Full(t.Context()))
		if took := time.Since(began); took != 0 {
			t.Errorf("refusing took %s", took)
		}
		for _, l := range leave {
			l()
		}
		queued.Wait()
		g.enter(t)()
		if err := g.Full(t.Context()); err != nil {
			t.Errorf("an empty queue: %v", err)
		}
		for name, want := range map[string]int{"in_work": 0, "queued": 0, "admitted_total": 6, "wait_seconds": 6} {
			if got := g.count(t, "oven_admission_"+name, ""); got != want {
				t.Errorf("%s is %d, want %d", name, got, want)
			}
		}
		if n := g.count(t, "oven_admission_rejected_total", "queue_full"); n != 1001 {
			t.Errorf("%d refusals are counted", n)
		}
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(admission.Limits{Concurrency: 1, Queue: 10, Wait: time.Minute})
		leave := g.enter(t)
		var served []int
		var queued sync.WaitGroup
		for i := range 10 {
			queued.Go(func() {
				leave := g.enter(t)
				served = append(served, i) // one is admitted at a time, so no lock
				leave()
			})
			synctest.Wait()
		}
		leave()
		queued.Wait()
		if !slices.IsSorted(served) || len(served) != 10 {
			t.Errorf("served in the order %v", served)
		}
	})
}

// A waiting caller leaves after the maximum wait, at its own deadline, or when it is
// canceled, whichever comes first, and frees its place.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		after   time.Duration
	}{
		"waited": {context.WithCancel, time.Second},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 300*time.Millisecond)
		}, 300 * time.Millisecond},
		"gone": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(200*time.Millisecond, cancel)
			return ctx, cancel
		}, 200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGate(admission.Limits{Concurrency: 1, Queue: 1, Wait: time.Second})
				leave := g.enter(t)
				ctx, cancel := test.context(t.Context())
				defer cancel()
				began := time.Now()
				_, err := g.Enter(ctx)
				g.mustRefuse(t, err)
				if took := time.Since(began); took != test.after {
					t.Errorf("waited for %s, want %s", took, test.after)
				}
				if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
					t.Errorf("%v does not say %v", err, ctx.Err())
				}
				if n := g.count(t, "oven_admission_rejected_total", name); n != 1 {
					t.Errorf("%d are counted", n)
				}
				var next sync.WaitGroup
				next.Go(func() { g.enter(t)() }) // in the only place
				synctest.Wait()
				leave()
				next.Wait()
			})
		})
	}
}

func TestNoQueue(t *testing.T) {
	t.Parallel()
	g := newGate(admission.Limits{Concurrency: 1, Wait: time.Second})
	leave := g.enter(t)
	_, err := g.Enter(t.Context())
	g.mustRefuse(t, err)
	if err := g.Full(t.Context()); err != nil {
		t.Errorf("no queue cannot be full: %v", err)
	}
	leave()
	g.enter(t)()
}

// The number of admitted callers never exceeds the limit, and is zero in the end.
func TestNeverMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	g := newGate(admission.Limits{Concurrency: 3, Queue: 20, Wait: time.Millisecond})
	var inWork, let, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for j := range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+j)%3 == 0 {
					go cancel()
				}
				leave, err := g.Enter(ctx)
				if err != nil {
					refused.Add(1)
					cancel()
					continue
				}
				if n := inWork.Add(1); n > 3 {
					t.Errorf("%d in work", n)
				}
				let.Add(1)
				inWork.Add(-1)
				leave()
				cancel()
			}
		})
	}
	all.Wait()
	if let.Load()+refused.Load() != 50*200 || g.count(t, "oven_admission_in_work", "") != 0 || g.count(t, "oven_admission_queued", "") != 0 {
		t.Errorf("%d let in, %d refused; %d still in work", let.Load(), refused.Load(), g.count(t, "oven_admission_in_work", ""))
	}
	for range 3 {
		g.enter(t)
	}
}

// BenchmarkRefuse measures a rejection while no caller leaves.
func BenchmarkRefuse(b *testing.B) {
	g := newGate(admission.Limits{Concurrency: 1, Wait: time.Second})
	g.enter(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := g.Enter(context.Background()); err == nil {
				b.Error("let in")
			}
		}
	})
}

// The log has a line when rejecting begins and one when it ends, but none for each
// rejection.
func TestLogsChanges(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	g := admission.New("oven", admission.Limits{Concurrency: 1, Wait: time.Second}, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	for range 2 {
		leave, err := g.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := g.Enter(t.Context()); err == nil {
				t.Fatal("let in")
			}
		}
		leave()
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[1], "level=INFO") || !strings.Contains(lines[2], "level=WARN") {
		t.Errorf("logged:\n%s", &log)
	}
}
