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
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/services/login/internal/hashing"
)

// table is what a survey of the table of members finds.
type table func() ([]string, error)

func (t table) PasswordCosts(context.Context) ([]string, error) { return t() }

func empty() ([]string, error) { return nil, nil }

// bench is a hasher, and what it counts.
type bench struct {
	*hashing.Hasher
	registry *prometheus.Registry
}

func newBench(c hashing.Config, costs table, now func() time.Time) bench {
	c.Cost, c.SurveyEvery = password.Recommended(), time.Minute
	registry := prometheus.NewRegistry()
	gate := admission.New("login_password", c.Limits(), slog.New(slog.DiscardHandler), registry)
	return bench{hashing.New(c, gate, costs, now, registry), registry}
}

// work returns what was done so far: Argon2id in KiB-passes, PBKDF2 in iterations.
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

const djangoHash = "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=" // of "lètmein"

func TestVerify(t *testing.T) {
	t.Parallel()
	for upgrade, better := range map[string]bool{"on": true, "off": false} {
		b := newBench(hashing.Config{Wait: time.Minute, Upgrade: upgrade}, empty, time.Now)
		current, err := b.Hash(t.Context(), "correct horse")
		if err != nil {
			t.Fatal(err)
		}
		if v, err := b.Verify(t.Context(), current, "correct horse"); !v.OK || v.Better != "" || err != nil {
			t.Errorf("current: %+v, %v", v, err)
		}
		v, err := b.Verify(t.Context(), djangoHash, "lètmein")
		if !v.OK || (v.Better != "") != better || err != nil {
			t.Errorf("django, upgrade %s: %+v, %v", upgrade, v, err)
		}
		if better && !strings.HasPrefix(v.Better, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Errorf("better is %q", v.Better)
		}
		if v, err := b.Verify(t.Context(), djangoHash, "wrong"); v != (hashing.Verdict{}) || err != nil {
			t.Errorf("wrong: %+v, %v", v, err)
		}
		if _, err := b.Verify(t.Context(), "md5$x$y", "wrong"); !errors.Is(err, password.ErrUnreadable) {
			t.Errorf("unreadable: %v", err)
		}
	}
}

// Refusals are levelled to what the survey finds, and to dearer rows at once.
func TestSurvey(t *testing.T) {
	t.Parallel()
	var now atomic.Int64
	var looks atomic.Int32
	found := []string{"$argon2id$v=19$m=19456,t=2,p=1$", "pbkdf2_sha256$1000$", "", "pbkdf2_sha256$2000$"}
	away := errors.New("away")
	b := newBench(hashing.Config{Wait: time.Minute, Upgrade: "on"}, func() ([]string, error) {
		if looks.Add(1) == 1 {
			return nil, away
		}
		return found, nil
	}, func() time.Time { return time.Unix(now.Load(), 0) })

	refuse := func(stored string, iterations float64) {
		t.Helper()
		argonBefore, before := b.work(t)
		if v, err := b.Verify(t.Context(), stored, "wrong"); v.OK || err != nil {
			t.Fatalf("%+v, %v", v, err)
		}
		argonAfter, after := b.work(t)
		if after-before != iterations || argonAfter-argonBefore != 2*19456 {
			t.Errorf("%v KiB-passes and %v iterations, want %v", argonAfter-argonBefore, after-before, iterations)
		}
	}
	// Without a first look nobody could be refused in the right time.
	if _, err := b.Verify(t.Context(), "", "wrong"); !errors.Is(err, away) {
		t.Errorf("before the first look: %v", err)
	}
	refuse("", 2000)
	refuse("clear", 2000)
	refuse(djangoHash, 10000) // written after the look
	refuse("", 10000)
	if n := looks.Load(); n != 2 {
		t.Errorf("looked %d times", n)
	}
	found = nil // the last of them has logged in
	refuse("", 10000)
	now.Add(61)
	refuse("", 0)
	if n := looks.Load(); n != 3 {
		t.Errorf("looked %d times", n)
	}
	// Not answered: what was known goes on.
	looks.Store(0)
	now.Add(61)
	refuse("", 0)
}

// Whoever waits for the first look does not wait longer than the request may take.
func TestSurveyWaitsNoLongerThanTheRequest(t *testing.T) {
	t.Parallel()
	began, end := make(chan struct{}), make(chan struct{})
	b := newBench(hashing.Config{Wait: time.Minute, Upgrade: "on"}, func() ([]string, error) {
		close(began)
		<-end
		return nil, nil
	}, time.Now)
	first := make(chan error, 1)
	go func() {
		_, err := b.Verify(t.Context(), "", "x")
		first <- err
	}()
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Verify(ctx, "", "x"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("the request is over: %v", err)
	}
	close(end)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// A flood takes the memory of so many hashes as may be in work, and no more: at
// once they would take 4 GiB. Not parallel: it is the memory of the process.
func TestFloodKeepsItsMemory(t *testing.T) {
	const hashes, flood = 2, 200
	b := newBench(hashing.Config{Hashes: hashes, Queue: 20, Wait: time.Minute, Upgrade: "on"}, empty, time.Now)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var done, refused atomic.Int32
	var together sync.WaitGroup
	for range flood {
		together.Go(func() {
			_, err := b.Verify(context.WithoutCancel(t.Context()), "", "wrong")
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
	// Garbage included; HeapSys is as much as the heap ever had.
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
	good := hashing.Config{Upgrade: "on", SurveyEvery: time.Minute}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	err := hashing.Config{Hashes: -1, Queue: -1, Wait: -1, Upgrade: "perhaps"}.Validate()
	for _, name := range []string{"PASSWORD_HASHES", "PASSWORD_QUEUE", "PASSWORD_WAIT", "PASSWORD_UPGRADE", "PASSWORD_SURVEY_EVERY"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported: %v", name, err)
		}
	}
	if got, want := good.Limits().Concurrency, runtime.GOMAXPROCS(0); got != want {
		t.Errorf("%d at once, want %d", got, want)
	}
}
