package health_test

import (
	"context"
	"errors"
	"testing"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/health"
)

func TestReady(t *testing.T) {
	t.Parallel()
	ok := health.Check{Name: "oven", Run: func(context.Context) error { return nil }}
	cold := health.Check{Name: "cellar", Run: func(context.Context) error { return errors.New("no light") }}
	hung := health.Check{Name: "phone", Run: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
	for name, test := range map[string]struct {
		state *health.State
		want  string // the detail; "" when ready
	}{
		"no_checks":     {health.New(), ""},
		"all_pass":      {health.New(ok, ok), ""},
		"one_fails":     {health.New(ok, cold), "not ready: cellar"},
		"a_hung_check":  {health.New(hung), "not ready: phone"},
		"shutting_down": {drained(ok), "shutting down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.state.Ready(t.Context())
			var got *fault.Error
			if !errors.As(err, &got) {
				if err != nil || test.want != "" {
					t.Errorf("ready: %v, want %q", err, test.want)
				}
				return
			}
			if got.Code != fault.Unavailable || got.Detail != test.want {
				t.Errorf("%s %q, want %q", got.Code, got.Detail, test.want)
			}
		})
	}
}

func drained(checks ...health.Check) *health.State {
	s := health.New(checks...)
	s.Drain()
	return s
}
