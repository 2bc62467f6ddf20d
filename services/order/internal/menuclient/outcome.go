package menuclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"example.com/pizza/pkg/fault"
)

// outcome is what one attempt, or one call, came to; a label of the metrics.
type outcome string

const (
	answered   outcome = "ok"
	timedOut   outcome = "timeout"      // no whole answer within the time-out
	lost       outcome = "connection"   // no connection, or it broke
	failed     outcome = "server_error" // 5xx
	refused    outcome = "refused"      // 4xx: our own request is wrong, and menu well
	unreadable outcome = "unreadable"   // an answer that the contract does not know
	cancelled  outcome = "cancelled"    // the caller went away
	cutShort   outcome = "cut_short"    // the caller's own deadline came before menu's time was up
	full       outcome = "full"         // no place became free in time
	open       outcome = "open"         // the breaker let nobody through
)

// failure is an attempt, or a call, without a usable answer.
type failure struct {
	outcome    outcome
	retryAfter time.Duration // what menu asked for; 0 is nothing
	err        error
}

func (f *failure) Error() string { return string(f.outcome) + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// outcomeOf gives a name to how a call ended.
func outcomeOf(err error) outcome {
	var f *failure
	switch {
	case err == nil:
		return answered
	case errors.As(err, &f):
		return f.outcome
	default:
		return unreadable
	}
}

// repeatable is true where a further attempt may help. Every operation of this
// client only reads, so none is unsafe to repeat.
func (o outcome) repeatable() bool { return o == timedOut || o == lost || o == failed }

// silent is true for an outcome that says nothing about the health of menu.
func (o outcome) silent() bool { return o == cancelled || o == cutShort || o == refused }

// Causes of the two time-outs, to tell them from the caller's own deadline.
var (
	errAttemptTime = errors.New("no answer within MENU_ATTEMPT_TIMEOUT")
	errBudget      = errors.New("no answer within MENU_TIMEOUT")
)

// broken is an attempt during which the connection failed, or the time ended.
func broken(ctx context.Context, err error) *failure {
	cause := context.Cause(ctx)
	switch {
	case cause == nil && isTimeout(err):
		return &failure{outcome: timedOut, err: err} // the dialer's own, at the same moment
	case cause == nil:
		return &failure{outcome: lost, err: err}
	case errors.Is(cause, errAttemptTime), errors.Is(cause, errBudget):
		return &failure{outcome: timedOut, err: errors.Join(cause, err)}
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{outcome: cancelled, err: err}
	default:
		return &failure{outcome: cutShort, err: err}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// refusal is an attempt that was answered with an error. The fault that menu
// reported is kept as the cause.
func refusal(status int, reported error) *failure {
	f := &failure{outcome: unreadable, err: reported}
	switch {
	case status >= http.StatusInternalServerError:
		f.outcome = failed
	case status >= http.StatusBadRequest:
		f.outcome = refused
	}
	var e *fault.Error
	if errors.As(reported, &e) {
		f.retryAfter = e.RetryAfter
	}
	return f
}
