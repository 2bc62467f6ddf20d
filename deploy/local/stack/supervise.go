package stack

import (
	"context"
	"sync"
	"time"

	"example.com/pizza/deploy/local/internal/process"
)

// DefaultRestartAfter is the pause before an exited service is restarted: long
// enough to see how the others behave without it.
const DefaultRestartAfter = 20 * time.Second

// Service is a service that is kept running.
type Service struct {
	Name string
	Addresses

	spec    process.Spec
	mu      sync.Mutex
	process *process.Process
}

// Process returns the current process of the service, or the last one while the
// service waits for its restart.
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

// keep restarts a service whenever it exits, until ctx ends. The addresses stay
// the same, because the other services know them.
func (s *Stack) keep(ctx context.Context, service *Service) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-service.Process().Done():
		case <-ctx.Done():
			return
		}
		s.log.ErrorContext(ctx, "service exited unexpectedly", "name", service.Name, "how", service.died().how(),
			"starts_again_in", s.options.RestartAfter.String())
		pause.Reset(s.options.RestartAfter)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return
		}
		if err := service.start(); err != nil {
			s.log.ErrorContext(ctx, "cannot restart the service", "name", service.Name, "error", err)
		}
	}
}
