package httpapi

import (
	"context"
	"errors"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/services/order/internal/order"
)

// Limits bound one kind of requests: how many run at a time, and how often one
// member may send them. The time of a request is bounded by REQUEST_TIMEOUT (pkg/server).
type Limits struct {
	Gate  *admission.Gate
	Limit *ratelimit.Limit
}

// check returns RateLimited if the member has used up the limit. It charges
// nothing.
func (l Limits) check(ctx context.Context, memberID string) error {
	return ratelimit.Check(ctx, l.Limit.For(memberID))
}

// do runs work if the limit and the gate allow it. It returns RateLimited,
// admission.ErrBusy, and the errors of work.
//
// The limit is charged behind the gate, so a 503 of the gate is free. Work that is
// unavailable is refunded, and so is work for a revoked token. Work for a client
// that went away is not: its order may have been placed.
func (l Limits) do(ctx context.Context, memberID string, work func() error) error {
	leave, err := l.Gate.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	refund, err := ratelimit.Spend(ctx, l.Limit.For(memberID))
	if err != nil {
		return err
	}
	err = work()
	if errors.Is(err, order.ErrRevoked) || (fault.CodeOf(err) == fault.Unavailable && ctx.Err() == nil) {
		refund()
	}
	return err
}

// isOverLimit reports whether err is a refusal by a limit or a gate, before any
// work was done.
func isOverLimit(err error) bool {
	return errors.Is(err, admission.ErrBusy) || errors.Is(err, ratelimit.ErrLimited)
}
