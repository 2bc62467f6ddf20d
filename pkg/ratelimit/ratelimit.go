// Package ratelimit bounds how often something may be done, by whoever asks: an
// account, an address, a member.
//
// It counts by GCRA, the generic cell rate algorithm: all that is kept of a key is
// the time at which it would have used up nothing. With a rate of 10/m one may do
// ten things at once, and from then on one more every six seconds; there is no
// window at whose end twice as much goes through, and never a wait of longer than
// six seconds for the next.
//
// A Limit is one such bound of one route. It spends by way of Counters, which
// count in Redis together with all other replicas, and alone, in memory, without
// Redis or while that does not answer: then each replica admits the whole rate.
// Announce tells the client what is left, in the headers of every answer.
package ratelimit

import (
	"context"
	"time"
)

// Limiter counts what is done under each key, at one rate.
type Limiter interface {
	// Allow counts one more under key if the rate allows it. What is refused is
	// not counted. An error means that it is not known.
	Allow(ctx context.Context, key string) (Decision, error)
}

// Decision is what a Limiter says.
type Decision struct {
	Allowed    bool
	Limit      int           // most at once
	Remaining  int           // how many more would be allowed at this moment
	RetryAfter time.Duration // until the next one is allowed; 0 for what is allowed itself
	ResetAfter time.Duration // until Remaining is Limit again, if nothing more is done
}
