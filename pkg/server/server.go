// Package server runs a service's three HTTP ports and stops them gracefully.
//
// A request passes, from outside to inside: its trace and deadline, the access log and
// metrics, panic recovery, security headers, on the public port CORS and the check of
// the path, and the checks of headers and body; then authentication if the operation
// requires it, and the generated handler. Handlers return errors. errorHandler is the
// one place that logs them, adds them to the span and, through package problem,
// answers.
//
// The public port (8000) carries the API and the health probes. The internal
// port (9000) carries /int/*, /log-level, /debug/pprof and /metrics, and is never routed
// from outside. The metrics port (9100) carries /metrics and the health probes alone: a
// NetworkPolicy knows ports and not paths, so monitoring has a port of its own and
// needs no access to /int. Router assigns operations to ports.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/edge"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
)

// Config is the ports of a service, and the times of its requests and its shutdown.
type Config struct {
	Addr            string        `env:"HTTP_ADDR" envDefault:":8000" doc:"Address of the public port"`
	InternalAddr    string        `env:"INTERNAL_ADDR" envDefault:":9000" doc:"Address of the internal port: /int, /log-level, /debug/pprof and /metrics"`
	MetricsAddr     string        `env:"METRICS_ADDR" envDefault:":9100" doc:"Address of the metrics port: /metrics, /healthz and /livez only"`
	AllowedOrigins  []string      `env:"CORS_ALLOWED_ORIGINS" rule:"origin" doc:"Origins that browsers may call from, separated by commas, such as https://pizza.example; * alone allows all; empty allows none"`
	RequestTimeout  time.Duration `env:"REQUEST_TIMEOUT" envDefault:"10s" rule:"positive" doc:"Maximum time of one request"`
	ClientTimeout   time.Duration `env:"CLIENT_TIMEOUT" envDefault:"5s" rule:"positive" doc:"Maximum time for a client to send request headers, and, added to REQUEST_TIMEOUT, to send the body or read the response; then the connection is closed"`
	ShutdownDelay   time.Duration `env:"SHUTDOWN_DELAY" envDefault:"5s" doc:"Drain delay: how long a terminating process keeps serving after it reports not ready. Every answer closes its connection"`
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"20s" rule:"positive" doc:"Maximum wait for requests in flight after the drain delay"`
	Admin           Admin
}

// Validate reports origins that contradict each other.
func (c Config) Validate() error { return checkOrigins(c.AllowedOrigins) }

const (
	maxBody     = 64 << 10        // bytes; the largest order is under 20 KiB
	idleTimeout = 2 * time.Minute // longer than that of common load balancers, so that they close connections first
)

// Server is one service: its ports over one set of handlers.
type Server struct {
	config   Config
	log      *slog.Logger
	access   slog.Handler // of the lines of requests
	health   *health.State
	tracer   trace.Tracer
	public   *echo.Echo
	internal *echo.Echo
	monitor  *echo.Echo
	draining atomic.Bool

	parameters map[string][]string // of the query, by operation
}

// New returns a server without routes. Its metrics are registered in, and
// served from, registry; its spans come from traces.
func New(c Config, log *slog.Logger, state *health.State, registry *prometheus.Registry, traces trace.TracerProvider) *Server {
	s := &Server{config: c, log: log, access: logging.Relaxed(log).Handler(), health: state, tracer: traces.Tracer(scope)}
	measure := newMetrics(registry)
	s.public, s.internal, s.monitor = s.newEcho(measure, true), s.newEcho(measure, false), s.newEcho(measure, false)
	s.routeHealth()
	s.routeMetrics(registry)
	s.routeLogLevel()
	s.routeProfiles()
	return s
}

// newEcho returns a router with the middleware of every request. Middleware that can
// reject a request is behind CORS, so that a page can read the reason.
func (s *Server) newEcho(measure *metrics, public bool) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Binder = bind.Binder{}
	e.HTTPErrorHandler = s.errorHandler
	all := []echo.MiddlewareFunc{s.traceRequest(public), s.observe(measure), s.recoverPanic, s.protect}
	if public && len(s.config.AllowedOrigins) > 0 {
		all = append(all, cors(s.config.AllowedOrigins))
	}
	if public {
		all = append(all, plain)
	}
	all = append(all, s.limit)
	// echo would wrap the handler in each of them for each request.
	h := wrap(func(c echo.Context) error { return c.Handler()(c) }, all)
	e.Use(func(echo.HandlerFunc) echo.HandlerFunc { return h })
	return e
}

// wrap returns a handler behind middleware, of which the first is the outermost.
func wrap(h echo.HandlerFunc, all []echo.MiddlewareFunc) echo.HandlerFunc {
	for _, m := range slices.Backward(all) {
		h = m(h)
	}
	return h
}

// CheckBodies sets the rules of the service for bodies that cannot be read as a whole,
// so that the answer names every bad field.
func (s *Server) CheckBodies(rules bind.Rules) {
	s.public.Binder, s.internal.Binder = bind.Binder{Rules: rules}, bind.Binder{Rules: rules}
}

// Audit returns the audit log of the service.
func (s *Server) Audit() *audit.Log { return audit.New(s.log) }

// Public returns the handler of the public port.
func (s *Server) Public() http.Handler { return s.public }

// Internal returns the handler of the internal port.
func (s *Server) Internal() http.Handler { return s.internal }

// Metrics returns the handler of the metrics port.
func (s *Server) Metrics() http.Handler { return s.monitor }

// Run serves all ports until ctx ends. It then drains: it reports not ready and keeps
// serving for the shutdown delay, closing each connection after its next answer (RFC
// 9112, section 9.6), so that clients move to other processes. Finally it waits for
// the requests in flight. It returns nil after a clean stop.
func (s *Server) Run(ctx context.Context) error {
	var servers []*http.Server
	var listeners []net.Listener
	var addresses []any // name and address in turn
	for _, port := range []struct {
		name, variable, addr string
		handler              http.Handler
	}{
		{"public", "HTTP_ADDR", s.config.Addr, s.public},
		{"internal", "INTERNAL_ADDR", s.config.InternalAddr, s.internal},
		{"metrics", "METRICS_ADDR", s.config.MetricsAddr, s.monitor},
	} {
		l, err := listen(ctx, port.variable, port.addr)
		if err != nil {
			for _, open := range listeners {
				err = errors.Join(err, open.Close())
			}
			return err
		}
		servers, listeners = append(servers, s.httpServer(port.handler)), append(listeners, l)
		addresses = append(addresses, port.name, l.Addr().String())
	}
	s.log.InfoContext(ctx, "listening", addresses...)

	group, ctx := errgroup.WithContext(ctx)
	for i, srv := range servers {
		group.Go(func() error {
			err := srv.Serve(listeners[i])
			if !errors.Is(err, http.ErrServerClosed) && (!errors.Is(err, net.ErrClosed) || !s.draining.Load()) {
				return fmt.Errorf("serve %s: %w", listeners[i].Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		return s.stop(context.WithoutCancel(ctx), servers, listeners)
	})
	return group.Wait()
}

// settle is how long a server still answers on its connections after it has
// stopped accepting new ones. Once it shuts down, net/http drops a request that it
// has just read, so new connections get the time to send theirs before.
const settle = 250 * time.Millisecond

func (s *Server) stop(ctx context.Context, servers []*http.Server, listeners []net.Listener) error {
	s.draining.Store(true)
	s.health.Drain()
	s.log.InfoContext(ctx, "stopping", "delay", s.config.ShutdownDelay.String(), "timeout", s.config.ShutdownTimeout.String())
	time.Sleep(s.config.ShutdownDelay)
	for _, l := range listeners {
		_ = l.Close() // Shutdown reports it
	}
	time.Sleep(min(settle, s.config.ShutdownDelay))
	ctx, cancel := context.WithTimeout(ctx, s.config.ShutdownTimeout)
	defer cancel()
	var group errgroup.Group
	for _, srv := range servers {
		group.Go(func() error { return srv.Shutdown(ctx) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("requests still in flight after SHUTDOWN_TIMEOUT: %w", err)
	}
	s.log.InfoContext(ctx, "stopped")
	return nil
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.config.ClientTimeout,
		ReadTimeout:       s.config.RequestTimeout + s.config.ClientTimeout,
		WriteTimeout:      s.config.RequestTimeout + s.config.ClientTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    edge.MaxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func listen(ctx context.Context, variable, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return listener{l, sync.OnceValue(l.Close)}, nil
}

// listener can be closed twice: by stop, and by the shutdown of its server.
type listener struct {
	net.Listener
	close func() error
}

// Close implements net.Listener.
func (l listener) Close() error {
	return l.close()
}
