package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/fault"
)

// ErrLimited is in the chain of every refusal of Spend.
var ErrLimited = errors.New("a rate limit is reached")

// Limit is one bound of a route. One that is nil bounds nothing.
type Limit struct {
	route, name      string
	rate             Rate
	limiter          Limiter
	allowed, refused prometheus.Counter
	audit            *audit.Log
}

// Limit returns the bound of a route for everyone whom name tells apart, such as
// address. It is nil for a rate that is off.
func (n *Counters) Limit(route, name string, r Rate) *Limit {
	if r.Off() {
		return nil
	}
	of := func(outcome string) prometheus.Counter {
		return n.metrics.requests.WithLabelValues(route, name, outcome)
	}
	return &Limit{route: route, name: name, audit: n.audit, rate: r, limiter: n.limiter(route+":"+name, r), allowed: of("allowed"), refused: of("refused")}
}

// Spend counts one more for who, and notes for Announce what is left. It returns
// fault.RateLimited around ErrLimited when there is nothing left.
func (l *Limit) Spend(ctx context.Context, who string) error {
	if l == nil {
		return nil
	}
	// A hash is short, however long an id somebody makes up.
	sum := sha256.Sum256([]byte(who))
	d, err := l.limiter.Allow(ctx, hex.EncodeToString(sum[:16]))
	if err != nil {
		return err
	}
	note(ctx, l, d)
	if !d.Allowed {
		l.refused.Inc()
		l.audit.RateLimited(ctx, l.route, l.name)
		return fault.Wrap(ErrLimited, fault.RateLimited, "too many requests: the "+l.name+" limit is used up; try again later").Retry(d.RetryAfter)
	}
	l.allowed.Inc()
	return nil
}
