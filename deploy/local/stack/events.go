package stack

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/deploy/local/internal/datadir"
	"example.com/pizza/deploy/local/internal/kitchen"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/testkit/natsserver"
)

// startEvents starts a NATS server if Options.NATS is set.
func (s *Stack) startEvents() error {
	if !s.options.NATS {
		return nil
	}
	start := time.Now()
	server, err := natsserver.Start(s.dir.Path(datadir.Events))
	if err != nil {
		return fmt.Errorf("start NATS: %w", err)
	}
	s.nats = server
	s.progress("NATS at %s after %s", server.URL(), seconds(start))
	return nil
}

// eventSettings returns the variables that configure a service's transport.
func (s *Stack) eventSettings() []string {
	if s.nats != nil {
		return []string{"EVENTS_URL=" + s.nats.URL()}
	}
	return []string{"EVENTS_URL=" + s.options.EventsURL}
}

// openKitchen prints tickets until the stack stops. The kitchen belongs to no
// service and has no role, so it connects as the superuser.
func (s *Stack) openKitchen(ctx context.Context) error {
	environ := slices.Concat(os.Environ(), s.options.Environ, s.eventSettings())
	c, err := config.Load[connect.Config](environ)
	if err != nil {
		return err
	}
	trace, err := config.Load[telemetry.Config](environ)
	if err != nil {
		return err
	}
	pool, err := pgurl.NewPool(ctx, s.AdminDSN())
	if err != nil {
		return fmt.Errorf("connect the kitchen: %w", err)
	}
	log := logger(s.options, "kitchen")
	registry := prometheus.NewRegistry()
	traces, err := telemetry.Start(ctx, trace, telemetry.Process{Service: "kitchen", Environment: environment}, log, registry)
	if err != nil {
		pool.Close()
		return fmt.Errorf("connect the kitchen: %w", err)
	}
	from, closeTransport, err := connect.Transport(c, events.Defaults(), "kitchen", pool, log, registry, traces)
	if err != nil {
		traces.Close()
		pool.Close()
		return fmt.Errorf("connect the kitchen: %w", err)
	}
	s.kept.Go(func() {
		defer traces.Close()
		defer pool.Close()
		defer closeTransport()
		if err := kitchen.New(s.options.Tickets).Run(s.keeping, from); err != nil {
			s.fail(fmt.Errorf("the kitchen closed: %w", err))
		}
	})
	return nil
}
