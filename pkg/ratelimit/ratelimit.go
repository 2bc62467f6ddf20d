// Package ratelimit bounds how often an account, an address or a member may do
// something.
//
// It counts by GCRA, the generic cell rate algorithm, whose only state for a key is the
// time at which its bucket is empty. A rate of 10/m allows ten requests at once, and
// then one every six seconds. No window lets twice as many pass at its end, and no
// client waits longer than six seconds for its next request.
//
// A Limit is one bound of one route. A request that has several limits spends all
// of them or none: a request that one limit refuses costs nothing under the others.
//
// # Check, then spend
//
// A request that also waits for a place in a gate (package admission) calls Check
// before the gate and Spend behind it. Check keeps requests over the limit out of
// the queue. Spend decides, in one atomic step, so parallel requests never exceed
// the limit, and a request that gets no place is charged nothing. If the work then
// fails because a neighbor is away, the refund of Spend returns the charge.
//
// # Where it counts
//
// Counters count in Redis, together with all other replicas. Without Redis, or
// while Redis does not answer, they count in memory, and each replica allows the whole
// rate. Announce reports the remaining requests in the headers of the answer.
package ratelimit

import (
	"context"
	"time"
)

// A use is one request under one key of a limit.
type use struct {
	limit, key string
	rate       Rate
	back       time.Duration // with refund: how much to give back
}

// op is what a counter does with uses.
type op string

const (
	check  op = "check"  // reads
	spend  op = "spend"  // charges each use one interval if all of them fit, else none
	refund op = "refund" // gives back
)

// counter keeps the debt of each key: the time until its bucket is empty.
type counter interface {
	// count does op in one atomic step. It returns the debt of each use before.
	count(ctx context.Context, o op, uses []use) ([]time.Duration, error)
}
