// Package app puts the login service together: configuration, and the one
// straight line of wiring that main and the component tests share.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/admission"
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

// outbox is where the database leaves what happened to tokens.
func outbox() events.Outbox {
	return events.Outbox{Table: "login_outbox", Source: "/login"}
}

// Access is how long a token is good for.
type Access struct {
	TTLSeconds int32 `env:"JWT_ACCESS_TTL_SECONDS" envDefault:"3600" rule:"min=1" doc:"Seconds until an access token expires"`
}

// Validate reports values that are good in themselves and not together.
func (c Config) Validate() error {
	if c.HTTP.RequestTimeout > 0 && c.Password.Wait >= c.HTTP.RequestTimeout {
		return errors.New("PASSWORD_WAIT must be shorter than REQUEST_TIMEOUT")
	}
	return nil
}

// App is a wired service.
type App struct {
	Server *server.Server
	pool   *pgxpool.Pool
	events *connect.Publisher
	traces *telemetry.Tracing
	counts *ratelimit.Counters

	stop       context.CancelFunc // ends what runs in the background
	background sync.WaitGroup
}

// New wires the service. It does not need the database to be there.
func New(ctx context.Context, c Config, log *slog.Logger) (*App, error) {
	registry := server.NewRegistry()
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
	traces, err := telemetry.Start(ctx, c.Traces, telemetry.Process{Service: "login", Version: c.Log.Version, Environment: c.Log.Environment}, log, registry)
	if err != nil {
		pool.Close()
		return nil, err
	}
	publisher, err := connect.NewPublisher(ctx, c.Events, c.DB, "login", outbox(), log, registry, traces)
	if err != nil {
		traces.Close()
		pool.Close()
		return nil, err
	}
	counts, err := ratelimit.Open(c.Cache, log, registry, time.Now)
	if err != nil {
		publisher.Close()
		traces.Close()
		pool.Close()
		return nil, err
	}
	store := postgres.NewStore(pool, publisher.Wake)
	gate := admission.New("login_password", c.Password.Limits(), log, registry)
	logins := login.NewService(
		store, hashing.New(c.Password, gate, registry), keys.Keys,
		login.Options{
			TokenLifetime: time.Duration(c.Access.TTLSeconds) * time.Second, Policy: policy, Limits: limits.New(c.Limits, counts),
		}, log, registry)
	ready := health.New(pg.SchemaCheck(pool, "schema_version_login", SchemaVersion))
	s := server.New(c.HTTP, log, ready, registry, traces)
	if err := httpapi.Register(s, logins, c.HTTP.Admin, c.Clients); err != nil {
		counts.Close()
		publisher.Close()
		pool.Close()
		traces.Close()
		return nil, err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Close: a stopping service still answers
	a := &App{Server: s, pool: pool, events: publisher, counts: counts, traces: traces, stop: stop}
	a.background.Go(func() { keys.Run(working) })
	a.background.Go(func() { publisher.Run(working) })
	return a, nil
}

// Close ends what runs in the background, and gives the connections back.
func (a *App) Close() {
	a.stop()
	a.background.Wait()
	a.events.Close()
	a.counts.Close()
	a.pool.Close()
	a.traces.Close() // last, when there is nothing more to record
}

// Run is the service from configuration to the end of ctx.
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
