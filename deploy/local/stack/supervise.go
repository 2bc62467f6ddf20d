package stack

import (
	"context"
	"sync"
	"time"

	"example.com/pizza/deploy/local/internal/process"
)

// DefaultRestartAfter is how long a service that ended by itself stays away: long
// enough to see how the others get along without it.
const DefaultRestartAfter = 20 * time.Second

// Service is a service that is kept running.
type Service struct {
	Name string
	Addresses

	spec    process.Spec
	mu      sync.Mutex
	process *process.Process
}

// Process returns the process of the service: the last one, if it has ended and
// is to be started again.
func (s *Service) Process() *process.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// start starts the service's process.
func (s *Service) start() error {
	p, err := process.Start(s.spec)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	return nil
}

func (s *Service) died() *DiedError {
	p := s.Process()
	return &DiedError{Service: s.Name, Err: p.Err(), Tail: p.Tail()}
}

// keep starts a service again whenever it ends by itself, at the addresses where
// the others know it, until ctx ends.
func (s *Stack) keep(ctx context.Context, service *Service) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-service.Process().Done():
		case <-ctx.Done():
			return
		}
		s.log.ErrorContext(ctx, "a service ended by itself", "name", service.Name, "how", service.died().how(),
			"starts_again_in", s.options.RestartAfter.String())
		pause.Reset(s.options.RestartAfter)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		if err := service.start(); err != nil {
			s.log.ErrorContext(ctx, "a service cannot be started again", "name", service.Name, "error", err)
		}
	}
}
