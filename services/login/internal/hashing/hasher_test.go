package hashing_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/services/login/internal/hashing"
	"example.com/pizza/services/login/internal/login"
)

// bench is a hasher with its metrics.
type bench struct {
	*hashing.Hasher
	registry *prometheus.Registry
}

func newBench(c hashing.Config) bench {
	c.Cost = password.Recommended()
	registry := prometheus.NewRegistry()
	gate := admission.New("login_password", c.Limits(), slog.New(slog.DiscardHandler), registry)
	return bench{hashing.New(c, gate, registry), registry}
}

// work returns the work so far: Argon2id in KiB-passes, PBKDF2 in iterations.
func (b bench) work(t *testing.T) (argon2id, pbkdf2 float64) {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() != "login_password_kdf_work_total" {
				continue
			}
			if m.GetLabel()[0].GetValue() == password.Argon2id {
				argon2id = m.GetCounter().GetValue()
			} else {
				pbkdf2 = m.GetCounter().GetValue()
			}
		}
	}
	return argon2id, pbkdf2
}

// free admits every request.
func free() error { return nil }

const djangoHash = "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=" // of "lètmein"

func TestVerify(t *testing.T) {
	t.Parallel()
	for upgrade, better := range map[string]bool{"on": true, "off": false} {
		b := newBench(hashing.Config{Wait: time.Minute, Upgrade: upgrade})
		current, err := b.Hash(t.Context(), "correct horse", free)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := b.Verify(t.Context(), current, "correct horse", free); !v.OK || v.Better != "" || err != nil {
			t.Errorf("current: %+v, %v", v, err)
		}
		argon2id, pbkdf2 := b.work(t)
		if strings.HasPrefix(current, "$argon2id$") != better || (argon2id > 0) != better || (pbkdf2 > 0) == better {
			t.Errorf("upgrade %s: %q by %v of Argon2id and %v of PBKDF2", upgrade, current, argon2id, pbkdf2)
		}
		v, err := b.Verify(t.Context(), djangoHash, "lètmein", free)
		if !v.OK || (v.Better != "") != better || err != nil {
			t.Errorf("django, upgrade %s: %+v, %v", upgrade, v, err)
		}
		if better && !strings.HasPrefix(v.Better, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("better is %q", v.Better)
		}
		if v, err := b.Verify(t.Context(), djangoHash, "wrong", free); v != (login.Verdict{}) || err != nil {
			t.Errorf("wrong: %+v, %v", v, err)
		}
		if _, err := b.Verify(t.Context(), "md5$x$y", "wrong", free); !errors.Is(err, password.ErrUnreadable) {
			t.Errorf("unreadable: %v", err)
		}
	}
}

// A rejection costs at least the work of one new hash; a costlier stored hash
// costs its own work.
func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(hashing.Config{Wait: time.Minute, Upgrade: "on"})
	for stored, want := range map[string]struct{ argon2id, pbkdf2 float64 }{
		"": {2 * 19456, 0}, "clear": {2 * 19456, 0}, "$2b$12$unreadable": {2 * 19456, 0}, djangoHash: {2 * 19456, 10000},
		strings.Replace(djangoHash, "$10000$", "$300000$", 1): {0, 300000},
	} {
		argonBefore, before := b.work(t)
		if v, err := b.Verify(t.Context(), stored, "wrong", free); v.OK || err != nil && !errors.Is(err, password.ErrUnreadable) {
			t.Fatalf("%+v, %v", v, err)
		}
		argonAfter, after := b.work(t)
		if after-before != want.pbkdf2 || argonAfter-argonBefore != want.argon2id {
			t.Errorf("%q: %v KiB-passes and %v iterations, want %+v", stored, argonAfter-argonBefore, after-before, want)
		}
	}
}

// A request that is not admitted, for example because of a rate limit reached
// while it waited, does no work and frees its slot.
func TestNoWorkUnlessAdmitted(t *testing.T) {
	t.Parallel()
	b := newBench(hashing.Config{Hashes: 1, Upgrade: "on"})
	limited := errors.New("limited")
	for range 3 {
		if _, err := b.Verify(t.Context(), djangoHash, "wrong", func() error { return limited }); !errors.Is(err, limited) {
			t.Error(err)
		}
		if _, err := b.Hash(t.Context(), "correct horse", func() error { return limited }); !errors.Is(err, limited) {
			t.Error(err)
		}
	}
	if argon2id, pbkdf2 := b.work(t); argon2id != 0 || pbkdf2 != 0 {
		t.Errorf("%v KiB-passes and %v iterations", argon2id, pbkdf2)
	}
}

// A flood uses only the memory of the concurrent hashes; all at once would take
// 4 GiB. Not parallel: it measures the memory of the process.
func TestFloodKeepsItsMemory(t *testing.T) {
	const hashes, flood = 2, 200
	b := newBench(hashing.Config{Hashes: hashes, Queue: 20, Wait: time.Minute, Upgrade: "on"})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var done, refused atomic.Int32
	var together sync.WaitGroup
	for range flood {
		together.Go(func() {
			_, err := b.Verify(context.WithoutCancel(t.Context()), "", "wrong", free)
			var f *fault.Error
			switch {
			case err == nil:
				done.Add(1)
			case errors.As(err, &f) && f.Code == fault.Unavailable && f.RetryAfter >= time.Second && errors.Is(err, admission.ErrBusy):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	together.Wait()
	runtime.ReadMemStats(&after)
	// HeapSys is the peak of the heap, including garbage.
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 20*hashes*19<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	if done.Load() < hashes || done.Load()+refused.Load() != flood {
		t.Errorf("%d done and %d refused", done.Load(), refused.Load())
	}
	t.Logf("%d done, %d refused", done.Load(), refused.Load())
}

func TestConfigRules(t *testing.T) {
	t.Parallel()
	good := hashing.Config{Upgrade: "on"}
	if _, err := config.Load[hashing.Config](nil); err != nil {
		t.Error(err)
	}
	_, err := config.Load[hashing.Config]([]string{
		"PASSWORD_HASHES=-1", "PASSWORD_QUEUE=-1", "PASSWORD_WAIT=-1s", "PASSWORD_UPGRADE=perhaps",
	})
	for _, name := range []string{"PASSWORD_HASHES", "PASSWORD_QUEUE", "PASSWORD_WAIT", "PASSWORD_UPGRADE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported: %v", name, err)
		}
	}
	if got, want := good.Limits().Concurrency, runtime.GOMAXPROCS(0); got != want {
		t.Errorf("%d at once, want %d", got, want)
	}
}
