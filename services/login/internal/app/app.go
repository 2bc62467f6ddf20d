// Package app wires the login service. main and the component tests share it.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/password"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/redis"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/internal/hashing"
	"example.com/pizza/services/login/internal/httpapi"
	"example.com/pizza/services/login/internal/limits"
	"example.com/pizza/services/login/internal/login"
	"example.com/pizza/services/login/internal/postgres"
)

// SchemaVersion is the migration of the login tables that this build needs.
const SchemaVersion = 10

// Config is the configuration of the login service.
type Config struct {
	HTTP     server.Config
	Log      logging.Config
	Traces   telemetry.Config
	DB       pg.Config
	Token    token.Config
	Access   Access
	Password hashing.Config
	Policy   password.PolicyConfig
	Limits   limits.Config
	Clients  clientaddr.Config
	Cache    redis.Config

	Events connect.Config
}

// outbox holds the events of tokens until they are published.
func outbox() events.Outbox {
	return events.Outbox{Table: "login_outbox", Source: "/login"}
}

// Validate reports values that contradict each other.
func (c Config) Validate() error {
	if c.HTTP.RequestTimeout > 0 && c.Password.Wait >= c.HTTP.RequestTimeout {
		return errors.New("PASSWORD_WAIT must be shorter than REQUEST_TIMEOUT")
	}
	return nil
}

// App is a wired service.
type App struct {
	Server  *server.Server
	closers server.Closers
}

// New wires the service. The database need not be up.
func New(ctx context.Context, c Config, log *slog.Logger) (_ *App, err error) {
	a := &App{}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	registry := server.NewRegistry()
	traces, err := telemetry.Start(ctx, c.Traces, telemetry.Process{Service: "login", Version: c.Log.Version, Environment: c.Log.Environment}, log, registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(traces.Close) // last, when no more spans end
	keys, err := token.Open(c.Token, log, registry, time.Now)
	if err != nil {
		return nil, err
	}
	policy, err := password.NewPolicy(c.Policy)
	if err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, c.DB, "login", registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(pool.Close)
	counts, err := ratelimit.Open(c.Cache, log, registry, time.Now)
	if err != nil {
		return nil, err
	}
	a.closers.Add(counts.Close)
	publisher, err := connect.NewPublisher(ctx, c.Events, c.DB, "login", outbox(), log, registry, traces)
	if err != nil {
		return nil, err
	}
	a.closers.Add(publisher.Close)

	lifetime := time.Duration(c.Access.TTLSeconds) * time.Second
	hasher := hashing.New(c.Password, admission.New("login_password", c.Password.Limits(), log, registry), registry)
	logins := login.NewService(postgres.NewStore(pool, publisher.Wake), hasher, policy, lifetime, audit.New(log), log)
	handler := httpapi.New(logins, policy, limits.New(c.Limits, counts), keys.Keys, lifetime, registry)
	a.Server = server.New(c.HTTP, log, health.New(pg.SchemaCheck(pool, "schema_version_login", SchemaVersion)), registry, traces)
	if err := handler.Mount(a.Server, c.HTTP.Admin, c.Clients); err != nil {
		return nil, err
	}
	a.closers.Add(server.Background(ctx, keys.Run, publisher.Run))
	return a, nil
}

// Close ends the background work and closes all connections.
func (a *App) Close() { a.closers.Close() }

// Run loads the configuration and runs the service until ctx ends.
func Run(ctx context.Context, environ []string, stdout io.Writer) error {
	c, err := config.Load[Config](environ)
	if err != nil {
		return err
	}
	a, err := New(ctx, c, logging.New(c.Log, stdout, "login"))
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Server.Run(ctx)
}
