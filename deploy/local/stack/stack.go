// Package stack starts the whole system on this machine, with nothing but Go:
// a PostgreSQL server, the three services as separate processes, and a gateway
// that routes to them as the Ingress of the cluster does.
//
// Start works in order:
//   - the data folder and the port, so that a conflict is reported at once
//   - in parallel, the database (server, roles, migrations, seed), the build of
//     the services, and NATS if it carries the events
//   - the kitchen, which prints a ticket for each order
//   - the services, menu before order, each on free ports that the stack
//     chooses and registers with the gateway
//
// A service that exits unexpectedly is restarted after a pause, as in a cluster.
// Stop works in reverse order.
//
// The end-to-end test starts the same stack on random ports.
package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/pizza/deploy/local/internal/datadir"
	"example.com/pizza/deploy/local/internal/gateway"
	"example.com/pizza/deploy/local/internal/listen"
	"example.com/pizza/pkg/testkit/natsserver"
	"example.com/pizza/pkg/testkit/pgserver"
)

// gatewayGrace bounds how long the gateway waits for requests in flight.
const gatewayGrace = 5 * time.Second

// Options configure the stack. Only Root and DataDir are required.
type Options struct {
	Root         string                            // the repository
	DataDir      string                            // kept between runs: database, built programs, secrets
	BinDir       string                            // built services; empty is DataDir/bin
	Host         string                            // address of the gateway; empty means loopback only
	Port         int                               // port of the gateway; 0 chooses a free one
	DatabaseURL  string                            // an existing server, as its superuser; empty starts one
	PostgreSQL   map[string]string                 // settings of the server that is started
	NATS         bool                              // start a NATS server to carry the events
	EventsURL    string                            // existing NATS servers; empty means PostgreSQL
	RestartAfter time.Duration                     // pause before an exited service is restarted; 0 means DefaultRestartAfter
	Environ      []string                          // extra environment of the services, as NAME=value
	Progress     io.Writer                         // progress of the start; nil discards it
	Tickets      io.Writer                         // what the kitchen prints for each placed order; nil discards it
	Line         func(service string, line []byte) // called for each log line, concurrently; nil discards it
}

// Stack is a running system.
type Stack struct {
	options   Options
	dir       *datadir.Dir
	listeners []net.Listener
	gateway   *gateway.Gateway
	web       *http.Server
	server    *pgserver.Server   // nil with DatabaseURL
	nats      *natsserver.Server // nil unless Options.NATS
	database  *url.URL           // the database pizza, as its superuser
	services  []*Service
	keeping   context.Context // ends with Stop
	letGo     context.CancelFunc
	kept      sync.WaitGroup
	log       *slog.Logger // the stack's own lines among the services'
	stopping  atomic.Bool
	failed    chan error
}

// Start starts the system and returns when it serves. If it fails, or ctx ends
// first, it stops everything that it started. The error is datadir.ErrInUse or a
// *listen.TakenError if another program holds the data folder or the port.
func Start(ctx context.Context, o Options) (*Stack, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Tickets == nil {
		o.Tickets = io.Discard
	}
	if o.Line == nil {
		o.Line = func(string, []byte) {}
	}
	if o.RestartAfter == 0 {
		o.RestartAfter = DefaultRestartAfter
	}
	s := &Stack{options: o, failed: make(chan error, 1), log: logger(o, "stack")}
	s.keeping, s.letGo = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.start(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), gatewayGrace)
		defer cancel()
		return nil, errors.Join(err, s.Stop(stop))
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context) error {
	var err error
	if s.dir, err = datadir.Open(s.options.DataDir); err != nil {
		return err
	}
	if s.options.BinDir == "" {
		s.options.BinDir = s.dir.Path("bin")
	}
	if s.listeners, err = listen.Open(ctx, s.options.Host, s.options.Port); err != nil {
		return err
	}
	s.serve()

	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startDatabase(groupCtx) })
	group.Go(func() error { return s.build(groupCtx) })
	group.Go(s.startEvents)
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.openKitchen(ctx); err != nil {
		return err
	}
	return s.startServices(ctx)
}

// serve opens the gateway. Until the services are ready it answers 503.
func (s *Stack) serve() {
	s.gateway = gateway.New(logger(s.options, "gateway"), serviceNames...)
	s.web = s.gateway.Server()
	s.kept.Go(func() { s.gateway.Watch(s.keeping) })
	for _, l := range s.listeners {
		go func() {
			if err := s.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				s.fail(fmt.Errorf("the gateway failed: %w", err))
			}
		}()
	}
}

// fail reports that a component exited without being stopped. Only the first
// failure counts: later ones are usually its consequence.
func (s *Stack) fail(err error) {
	if s.stopping.Load() {
		return
	}
	select {
	case s.failed <- err:
	default:
	}
}

// Failed delivers the error when a component that is not restarted exits: the
// database or the gateway. The others keep running until Stop.
func (s *Stack) Failed() <-chan error { return s.failed }

// Stop stops the system in order: the gateway, the services, the database. When
// ctx ends, services that still run are killed. The error names each service that
// failed to stop cleanly, except those that had already exited.
func (s *Stack) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.letGo()
	s.kept.Wait()
	var errs []error
	if s.web != nil {
		errs = append(errs, s.stopGateway(ctx))
	}
	for _, service := range slices.Backward(s.services) {
		select {
		case <-service.Process().Done(): // already reported
		default:
			errs = append(errs, service.Process().Stop(ctx))
		}
	}
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.server != nil {
		if err := s.server.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop PostgreSQL: %w", err))
		}
	}
	if s.dir != nil {
		errs = append(errs, s.dir.Close())
	}
	return errors.Join(errs...)
}

func (s *Stack) stopGateway(ctx context.Context) error {
	defer s.gateway.Close()
	ctx, cancel := context.WithTimeout(ctx, gatewayGrace)
	defer cancel()
	if err := s.web.Shutdown(ctx); err != nil { // a slow client must not keep the system running
		if err := s.web.Close(); err != nil {
			return fmt.Errorf("stop the gateway: %w", err)
		}
	}
	return nil
}

// URL returns the address of the gateway, without a trailing slash.
func (s *Stack) URL() string {
	host := s.options.Host
	switch host {
	case "", "0.0.0.0", "::":
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(listen.Port(s.listeners[0])))
}

// Service returns a service by its name: login, menu or order.
func (s *Stack) Service(name string) *Service {
	for _, service := range s.services {
		if service.Name == name {
			return service
		}
	}
	return nil
}

// Services returns the services in the order of their start.
func (s *Stack) Services() []*Service { return s.services }

// AdminDSN returns the address of the database, as its superuser.
func (s *Stack) AdminDSN() string { return s.database.String() }

// SecretsFile returns the file of the stack's secrets.
func (s *Stack) SecretsFile() string { return s.dir.Secrets().File() }

// OwnDatabase reports whether the stack started the database server.
func (s *Stack) OwnDatabase() bool { return s.server != nil }

func (s *Stack) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(s.options.Progress, format+"\n", args...) // a lost progress line does not stop the start
}

// logger returns a logger that writes among the services' logs.
func logger(o Options, name string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(lineWriter{o.Line, name}, nil))
}

// lineWriter passes each log record to Options.Line. slog writes one record at
// a time, with its newline.
type lineWriter struct {
	line func(service string, line []byte)
	name string
}

func (w lineWriter) Write(b []byte) (int, error) {
	w.line(w.name, b[:len(b)-1])
	return len(b), nil
}
