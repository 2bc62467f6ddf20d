package ratelimit

import "time"

// decision is the state of one limit, as reported to its client.
type decision struct {
	allowed    bool
	remaining  int           // how many more requests fit now
	retryAfter time.Duration // until the next one fits; 0 if it fits now
	resetAfter time.Duration // until the bucket is empty
}

// decide returns the decision about one more request of a key with this debt.
func decide(r Rate, debt time.Duration) decision {
	room := r.burst() - debt
	d := decision{allowed: r.fits(debt), remaining: max(0, int(room/r.interval())), resetAfter: debt}
	if !d.allowed {
		d.retryAfter = r.interval() - room
	}
	return d
}
