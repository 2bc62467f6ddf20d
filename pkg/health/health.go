// Package health answers the two questions that Kubernetes asks a process.
//
// /livez: is the process itself alive? It touches nothing else, because a
// database that is away must never restart pods.
//
// /healthz: is the process ready, that is, does it have something right to serve?
// Every registered check must pass, and the process must not be shutting down. A
// check must not fail for what all pods lose at once, such as the database: with
// no pod left in the Service, clients get the load balancer's error instead of a
// 503 that says when to try again, and nothing of what pods can still serve.
package health

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"example.com/pizza/pkg/fault"
)

// checkTimeout bounds one check; probes of Kubernetes give up after a second by
// default, so that a longer wait would tell nobody.
const checkTimeout = 900 * time.Millisecond

// Check is one thing that a process needs before it can serve.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// State is the readiness of a process.
type State struct {
	checks   []Check
	draining atomic.Bool
}

// New returns the state of a process that needs checks to pass.
func New(checks ...Check) *State { return &State{checks: checks} }

// Drain makes the process unready for good: it is about to stop.
func (s *State) Drain() { s.draining.Store(true) }

// Ready returns nil, or Unavailable with the name of the first check that fails.
func (s *State) Ready(ctx context.Context) error {
	if s.draining.Load() {
		return fault.New(fault.Unavailable, "shutting down")
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, c := range s.checks {
		if err := c.Run(ctx); err != nil {
			return fault.Wrap(fmt.Errorf("%s: %w", c.Name, err), fault.Unavailable, "not ready: "+c.Name)
		}
	}
	return nil
}
