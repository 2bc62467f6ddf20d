package menuclient

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"
)

// buckets is into how many parts the rolling window is cut: the oldest tenth is
// forgotten at a time.
const buckets = 10

// guard stands between the service and every call to menu. From outside to
// inside: the budget of time, the bulkhead, the breaker, the attempts.
type guard struct {
	config  Config
	places  chan struct{} // one element per call in flight; nil is without bound
	breaker *gobreaker.CircuitBreaker[struct{}]
	metrics *metrics
	forget  func() // closes idle connections
}

func newGuard(c Config, log *slog.Logger, m *metrics, forget func()) *guard {
	g := &guard{config: c, metrics: m, forget: forget}
	if c.Concurrency > 0 {
		g.places = make(chan struct{}, c.Concurrency)
	}
	g.breaker = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         "menu",
		MaxRequests:  c.Probes,
		Interval:     c.Window,
		BucketPeriod: c.Window / buckets,
		Timeout:      c.OpenFor,
		ReadyToTrip:  c.tooManyFailed,
		IsExcluded:   func(err error) bool { return outcomeOf(err).silent() },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			m.transitions.WithLabelValues(to.String()).Inc()
			level := slog.LevelInfo
			if to == gobreaker.StateOpen {
				level = slog.LevelWarn
			}
			log.Log(context.Background(), level, "circuit breaker changed", "breaker", "menu", "from", from.String(), "to", to.String())
		},
	})
	return g
}

// tooManyFailed is asked after each failure while the breaker is closed.
func (c Config) tooManyFailed(n gobreaker.Counts) bool {
	judged := n.TotalSuccesses + n.TotalFailures
	return c.FailureRatio > 0 && judged >= max(1, c.MinRequests) && float64(n.TotalFailures) >= c.FailureRatio*float64(judged)
}

// call makes one guarded call: as many attempts as are useful, allowed, and fit
// into the time. Without an answer it returns a failure.
func (g *guard) call(ctx context.Context, operation string, attempt func(context.Context) error) error {
	start := time.Now()
	if g.config.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, g.config.Timeout, errBudget)
		defer cancel()
	}
	err := g.through(ctx, operation, attempt)
	g.metrics.called(ctx, operation, outcomeOf(err), time.Since(start))
	return err
}

func (g *guard) through(ctx context.Context, operation string, attempt func(context.Context) error) error {
	// Asked before the wait for a place, so that nobody queues behind calls
	// that are already known to be in vain.
	if g.breaker.State() == gobreaker.StateOpen {
		return &failure{outcome: open, retryAfter: g.config.OpenFor, err: gobreaker.ErrOpenState}
	}
	if err := g.enter(ctx); err != nil {
		return err
	}
	defer g.leave()
	g.metrics.inFlight.Inc()
	defer g.metrics.inFlight.Dec()
	_, err := g.breaker.Execute(func() (struct{}, error) { return struct{}{}, g.repeat(ctx, operation, attempt) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return &failure{outcome: open, retryAfter: g.config.OpenFor, err: err}
	}
	return err
}

// enter takes a place in the bulkhead, waiting a little for one.
func (g *guard) enter(ctx context.Context) error {
	if g.places == nil {
		return nil
	}
	select {
	case g.places <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(g.config.QueueWait)
	defer patience.Stop()
	select {
	case g.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return broken(ctx, errors.New("while waiting for a place among the calls to menu"))
	case <-patience.C:
		return &failure{outcome: full, err: errors.New("MENU_CONCURRENCY calls to menu are in flight")}
	}
}

func (g *guard) leave() {
	if g.places != nil {
		<-g.places
	}
}

// repeat makes the attempts of one call.
func (g *guard) repeat(ctx context.Context, operation string, attempt func(context.Context) error) error {
	pauses := &pauses{ExponentialBackOff: &backoff.ExponentialBackOff{
		InitialInterval: g.config.Backoff, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: time.Second,
	}}
	options := []backoff.RetryOption{backoff.WithBackOff(pauses), backoff.WithMaxTries(max(1, g.config.Attempts)), backoff.WithMaxElapsedTime(0)}
	if end, ok := ctx.Deadline(); ok {
		// A pause that does not fit, such as a long Retry-After, is not begun.
		options = append(options, backoff.WithMaxElapsedTime(time.Until(end)))
	}
	var last *failure // backoff returns the end of ctx instead, where that comes during a pause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := g.once(ctx, operation, attempt)
		var f *failure
		if err == nil || !errors.As(err, &f) {
			return struct{}{}, err
		}
		if last == nil || f.outcome != cutShort {
			last = f // an attempt that was cut short does not undo what those before it have shown
		}
		pauses.asked = f.retryAfter
		if !f.outcome.repeatable() {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, options...)
	switch {
	case err == nil || last == nil:
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{outcome: cancelled, err: errors.Join(context.Canceled, last)}
	default:
		return last
	}
}

// once makes one attempt within its time-out, and counts it.
func (g *guard) once(ctx context.Context, operation string, attempt func(context.Context) error) error {
	if g.config.AttemptTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, g.config.AttemptTimeout, errAttemptTime)
		defer cancel()
	}
	err := attempt(ctx)
	o := outcomeOf(err)
	g.metrics.attempts.WithLabelValues(operation, string(o)).Inc()
	if o == timedOut || o == lost {
		// A peer that vanished leaves idle connections that look as good as
		// any: the next attempt must not pick one of them.
		g.forget()
	}
	return err
}

// pauses are the jittered pauses between attempts, and no shorter than menu has
// asked for.
type pauses struct {
	*backoff.ExponentialBackOff
	asked time.Duration
}

// NextBackOff returns the next pause.
func (p *pauses) NextBackOff() time.Duration { return max(p.ExponentialBackOff.NextBackOff(), p.asked) }
