// Package health implements the probes of Kubernetes.
//
// /livez: is the process itself alive? It touches nothing else, because a
// database that is away must never restart pods.
//
// /healthz: is the process ready, that is, does it have something right to serve?
// Every registered check must pass, and the process must not be shutting down. A check must
// not fail for a resource that all pods lose at once, such as the database: without a pod
// in the Service, clients get the load balancer's error instead of our 503 with
// Retry-After, and nothing of what pods can still serve.
package health

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"example.com/pizza/pkg/fault"
)

// checkTimeout bounds one check. Kubernetes gives up on a probe after a second by default,
// so a longer wait is useless.
const checkTimeout = 900 * time.Millisecond

// Check is one condition of readiness.
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

// Drain makes the process not ready until its end.
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
