package menuclient

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sony/gobreaker/v2"
)

// buckets is the number of parts of the breaker's rolling window: the oldest tenth
// is dropped at a time.
const buckets = 10

// caller makes calls to menu: a time-out around the breaker, and the attempts
// inside it, so that the breaker judges what a caller gets.
type caller struct {
	config    Config
	policy    policy
	breaker   *gobreaker.CircuitBreaker[struct{}]
	metrics   *metrics
	closeIdle func() // closes idle connections
}

func newCaller(c Config, p policy, log *slog.Logger, m *metrics, closeIdle func()) *caller {
	breaker := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "menu",
		MaxRequests:  p.probes,
		Interval:     p.window,
		BucketPeriod: p.window / buckets,
		Timeout:      c.OpenFor,
		ReadyToTrip:  c.isTripped,
		IsExcluded:   func(err error) bool { return !outcomeOf(err).isVerdict() },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			m.transitions.WithLabelValues(to.String()).Inc()
			level := slog.LevelInfo
			if to == gobreaker.StateOpen {
				level = slog.LevelWarn
			}
			log.Log(context.Background(), level, "circuit breaker changed", "breaker", "menu", "from", from.String(), "to", to.String())
		},
	})
	return &caller{config: c, policy: p, breaker: breaker, metrics: m, closeIdle: closeIdle}
}

// isTripped reports whether the breaker must open. A ratio of 0 never opens it.
func (c Config) isTripped(n gobreaker.Counts) bool {
	judged := n.TotalSuccesses + n.TotalFailures
	return c.FailureRatio > 0 && judged >= max(1, c.MinRequests) && float64(n.TotalFailures) >= c.FailureRatio*float64(judged)
}

// call makes one call, with retries. Its error is a failure.
func (c *caller) call(ctx context.Context, operation string, attempt func(context.Context) error) error {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.Timeout, errCallTimeout)
	defer cancel()
	_, err := c.breaker.Execute(func() (struct{}, error) { return struct{}{}, c.retry(ctx, operation, attempt) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		err = &failure{outcome: open, retryAfter: c.config.OpenFor, err: err}
	}
	c.metrics.observeCall(ctx, operation, outcomeOf(err), time.Since(start))
	return err
}
