package ratelimit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
)

// ErrLimited is in the chain of every refusal of Check and Spend.
var ErrLimited = errors.New("a rate limit is reached")

// Limit is one bound of a route. A nil Limit bounds nothing.
type Limit struct {
	counters         *Counters
	route, name      string
	rate             Rate
	allowed, refused prometheus.Counter
}

// Limit returns a limit of a route by a kind of key, such as address. It is nil for a
// rate that is off.
func (n *Counters) Limit(route, name string, r Rate) *Limit {
	if r.Off() {
		return nil
	}
	of := func(outcome string) prometheus.Counter {
		return n.metrics.requests.WithLabelValues(route, name, outcome)
	}
	return &Limit{counters: n, route: route, name: name, rate: r, allowed: of("allowed"), refused: of("refused")}
}

// Charge is one request of a key under one limit.
type Charge struct {
	limit *Limit
	who   string
}

// For returns the charge of one request of a key.
func (l *Limit) For(who string) Charge { return Charge{l, who} }

// Check returns the error that Spend would return now, and spends nothing.
func Check(ctx context.Context, charges ...Charge) error {
	_, err := count(ctx, check, charges)
	return err
}

// Spend spends all charges, each of another limit, or none. It returns
// fault.RateLimited around ErrLimited if one of the limits is used up.
//
// refund returns the charges of work that was not carried out, less what has drained
// since, so that the sum never exceeds the rate.
func Spend(ctx context.Context, charges ...Charge) (refund func(), err error) {
	return count(ctx, spend, charges)
}

// count checks or spends charges, and records the state of the limits that were charged
// or exceeded for Announce.
func count(ctx context.Context, o op, charges []Charge) (giveBack func(), err error) {
	var limits []*Limit
	var uses []use
	for _, c := range charges {
		if c.limit != nil {
			// A hash is short, however long the id of an attacker.
			sum := sha256.Sum256([]byte(c.who))
			limits = append(limits, c.limit)
			uses = append(uses, use{limit: c.limit.route + ":" + c.limit.name, key: hex.EncodeToString(sum[:16]), rate: c.limit.rate})
		}
	}
	if len(limits) == 0 {
		return func() {}, nil
	}
	counters := limits[0].counters
	at := counters.now()
	debts, by := counters.count(ctx, o, uses)

	var refused *Limit // the one with the longest wait
	var wait time.Duration
	for i, l := range limits {
		if d := decide(l.rate, debts[i]); !d.allowed && d.retryAfter > wait {
			refused, wait = l, d.retryAfter
		}
	}
	for i, l := range limits {
		if o == spend && refused == nil {
			l.allowed.Inc()
			debts[i] += l.rate.interval()
		}
		if o == spend || refused != nil {
			keep(ctx, l, decide(l.rate, debts[i]))
		}
	}
	if refused != nil {
		refused.refused.Inc()
		counters.audit.RateLimited(ctx, refused.route, refused.name)
		detail := "too many requests: the " + refused.name + " limit is used up; try again later"
		return nil, fault.Wrap(ErrLimited, fault.RateLimited, detail).Retry(wait)
	}
	return func() {
		counters.refund(context.WithoutCancel(ctx), by, uses, counters.now().Sub(at))
		forget(ctx, limits)
	}, nil
}
