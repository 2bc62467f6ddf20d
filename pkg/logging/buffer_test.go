package logging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/pizza/pkg/logging"
)

// Lines that may wait are written in order, soon, and before every other line. None is
// lost by Close, nor after it.
func TestBuffer(t *testing.T) {
	t.Parallel()
	type logs struct{ log, relaxed *slog.Logger }
	for name, test := range map[string]struct {
		do   func(t *testing.T, l logs, b *logging.Buffer)
		want string // the first word of each line
	}{
		"relaxed_waits": {func(t *testing.T, l logs, _ *logging.Buffer) {
			l.relaxed.InfoContext(t.Context(), "a")
		}, ""},
		"not_for_long": {func(t *testing.T, l logs, _ *logging.Buffer) {
			l.relaxed.InfoContext(t.Context(), "a")
			time.Sleep(time.Second)
			l.relaxed.InfoContext(t.Context(), "b")
			time.Sleep(time.Second)
			l.relaxed.InfoContext(t.Context(), "c")
		}, "ab"},
		"others_do_not_wait": {func(t *testing.T, l logs, _ *logging.Buffer) {
			l.relaxed.InfoContext(t.Context(), "a")
			l.log.InfoContext(t.Context(), "b")
			l.relaxed.InfoContext(t.Context(), "c")
		}, "ab"},
		"warnings_do_not_wait": {func(t *testing.T, l logs, _ *logging.Buffer) {
			l.relaxed.InfoContext(t.Context(), "a")
			l.relaxed.With("x", 1).WarnContext(t.Context(), "b")
		}, "ab"},
		"derived_waits": {func(t *testing.T, l logs, _ *logging.Buffer) {
			l.relaxed.With("x", 1).WithGroup("y").InfoContext(t.Context(), "a", "z", 2)
		}, ""},
		"many_do_not_wait": {func(t *testing.T, l logs, _ *logging.Buffer) {
			l.relaxed.InfoContext(t.Context(), "a")
			l.relaxed.InfoContext(t.Context(), "b", "long", strings.Repeat("x", 32<<10))
		}, "ab"},
		"closed": {func(t *testing.T, l logs, b *logging.Buffer) {
			l.relaxed.InfoContext(t.Context(), "a")
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			l.relaxed.InfoContext(t.Context(), "b")
		}, "ab"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				b := logging.NewBuffer(&out)
				log := logging.New(logging.Config{}, b, "oven")
				test.do(t, logs{log, logging.Relaxed(log)}, b)
				synctest.Wait()
				var got strings.Builder
				for line := range strings.Lines(out.String()) {
					_, rest, _ := strings.Cut(line, `"msg":"`)
					got.WriteString(rest[:1])
				}
				if got.String() != test.want {
					t.Errorf("written %q, want %q", got.String(), test.want)
				}
				_ = b.Close()
			})
		})
	}
}

func TestBufferConcurrently(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := logging.NewBuffer(&out)
	log := logging.New(logging.Config{}, b, "oven")
	relaxed := logging.Relaxed(log)
	const each, lines = 8, 200
	var all sync.WaitGroup
	for range each {
		all.Go(func() {
			for i := range lines {
				relaxed.InfoContext(t.Context(), "request")
				if i%50 == 0 {
					log.InfoContext(t.Context(), "other")
				}
			}
		})
	}
	all.Wait()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(out.String(), "\n"), each*(lines+lines/50); got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
}
