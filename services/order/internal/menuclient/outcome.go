package menuclient

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"example.com/pizza/pkg/fault"
)

// outcome is the result of an attempt or a call, and a label of the metrics.
type outcome string

const (
	answered   outcome = "ok"
	timedOut   outcome = "timeout"      // no whole answer within the time-out
	lost       outcome = "connection"   // no connection, or it broke
	failed     outcome = "server_error" // 5xx
	refused    outcome = "refused"      // 4xx: the request is wrong, and menu is well
	unreadable outcome = "unreadable"   // an answer that the contract does not have
	canceled   outcome = "cancelled"    // the client went away
	cutShort   outcome = "cut_short"    // the caller's own deadline came before menu's time-out
	open       outcome = "open"         // the circuit breaker is open
)

// failure is an attempt, or a call, without a usable answer.
type failure struct {
	outcome    outcome
	retryAfter time.Duration // requested by menu; 0 is none
	err        error
}

func (f *failure) Error() string { return string(f.outcome) + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// outcomeOf returns the outcome of a call or an attempt.
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

// isRetryable reports whether another attempt can help. All operations of this
// client only read, so all are safe to retry.
func (o outcome) isRetryable() bool { return o == timedOut || o == lost || o == failed }

// isVerdict reports whether the outcome says something about the health of menu.
func (o outcome) isVerdict() bool { return o != canceled && o != cutShort && o != refused }

// The causes of time-outs, which distinguish them from the caller's own deadline.
var (
	errAttemptTimeout = errors.New("no answer within the time of one attempt")
	errCallTimeout    = errors.New("no answer within MENU_TIMEOUT")
)

// connectionFailure returns the failure of an attempt whose connection broke or
// whose time ran out.
func connectionFailure(ctx context.Context, err error) *failure {
	cause := context.Cause(ctx)
	switch {
	case cause == nil && isTimeout(err):
		return &failure{outcome: timedOut, err: err} // the dialer's own time-out
	case cause == nil:
		return &failure{outcome: lost, err: err}
	case errors.Is(cause, errAttemptTimeout), errors.Is(cause, errCallTimeout):
		return &failure{outcome: timedOut, err: errors.Join(cause, err)}
	case errors.Is(ctx.Err(), context.Canceled):
		return &failure{outcome: canceled, err: err}
	default:
		return &failure{outcome: cutShort, err: err}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// errorAnswer returns the failure of an attempt that was answered with an error
// status. The fault that menu reported stays in its chain.
func errorAnswer(status int, reported error) *failure {
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
