package menuclient

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// policy holds the constants of calls, which tests change.
type policy struct {
	attempts       uint          // of one call
	attemptTimeout time.Duration // 0 is none
	firstPause     time.Duration // before the second attempt; doubles, with jitter
	window         time.Duration // over which the breaker judges calls
	probes         uint32        // successful calls that close a half-open breaker
}

// newPolicy returns the policy for a call timeout. Three attempts and their pauses
// fit into the call; more would only add load to a menu in trouble. The window is
// long because there is about one call per second.
func newPolicy(timeout time.Duration) policy {
	return policy{
		attempts: 3, attemptTimeout: timeout * 3 / 10, firstPause: 50 * time.Millisecond,
		window: 30 * time.Second, probes: 2,
	}
}

// retry makes the attempts of one call, as long as another one can help and fits
// into the time of ctx. A pause that does not fit, such as a long Retry-After, is
// not begun.
func (c *caller) retry(ctx context.Context, operation string, attempt func(context.Context) error) error {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: c.policy.firstPause, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: time.Second,
	}
	end, _ := ctx.Deadline() // call has set one
	var last *failure        // backoff.Retry returns the end of ctx instead if it comes during a pause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := c.attempt(ctx, operation, attempt)
		var f *failure
		if !errors.As(err, &f) {
			return struct{}{}, err
		}
		if last == nil || f.outcome != cutShort {
			last = f // an attempt that was cut short proves less than those before it
		}
		switch {
		case !f.outcome.isRetryable():
			return struct{}{}, backoff.Permanent(err)
		case f.retryAfter > 0:
			return struct{}{}, errors.Join(err, &backoff.RetryAfterError{Duration: f.retryAfter})
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(c.policy.attempts), backoff.WithMaxElapsedTime(time.Until(end)))
	switch {
	case err == nil || last == nil:
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{outcome: canceled, err: errors.Join(context.Canceled, last)}
	default:
		return last
	}
}

// attempt makes one attempt within its time-out, and counts it.
func (c *caller) attempt(ctx context.Context, operation string, do func(context.Context) error) error {
	if c.policy.attemptTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, c.policy.attemptTimeout, errAttemptTimeout)
		defer cancel()
	}
	err := do(ctx)
	o := outcomeOf(err)
	c.metrics.attempts.WithLabelValues(operation, string(o)).Inc()
	if o == timedOut || o == lost {
		c.closeIdle() // idle connections to a peer that vanished look as good as any
	}
	return err
}
