// Package app puts the menu service together: configuration, and the one
// straight line of wiring that main and the component tests share.
package app

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	pg "example.com/pizza/pkg/postgres"
	pkgredis "example.com/pizza/pkg/redis"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/services/menu/internal/httpapi"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/postgres"
	"example.com/pizza/services/menu/internal/redis"
	"example.com/pizza/services/menu/internal/snapshot"
)

// SchemaVersion is the migration of the menu tables that this build needs.
const SchemaVersion = 14

// Config is the configuration of the menu service.
type Config struct {
	HTTP   server.Config
	Log    logging.Config
	Traces telemetry.Config
	DB     pg.Config

	Snapshot snapshot.Config
	Cache    pkgredis.Config
	Events   connect.Config
}

// App is a wired service.
type App struct {
	Server *server.Server
	close  func()
}

// New wires the service. It does not need the database to be there.
func New(ctx context.Context, c Config, log *slog.Logger) (*App, error) {
	registry := server.NewRegistry()
	pool, err := pg.Open(ctx, c.DB, "menu", registry)
	if err != nil {
		return nil, err
	}
	var shared snapshot.Cache // nil without an address
	closeCache := func() error { return nil }
	if c.Cache.URL != "" {
		cache, err := redis.New(c.Cache, log, registry)
		if err != nil {
			pool.Close()
			return nil, err
		}
		shared, closeCache = cache, cache.Close
	}
	traces, err := telemetry.Start(ctx, c.Traces, telemetry.Process{Service: "menu", Version: c.Log.Version, Environment: c.Log.Environment}, log, registry)
	if err != nil {
		_ = closeCache() // nothing is in it yet
		pool.Close()
		return nil, err
	}
	outbox := events.Outbox{Table: "menu_outbox", Source: "/menu"}
	publisher, err := connect.NewPublisher(ctx, c.Events, c.DB, "menu", outbox, log, registry, traces)
	if err != nil {
		traces.Close()
		_ = closeCache() // nothing is in it yet
		pool.Close()
		return nil, err
	}
	catalog := snapshot.New(postgres.NewStore(pool, publisher.Wake), shared, c.Snapshot, log, registry)
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Close: a stopping service still answers
	var background sync.WaitGroup
	background.Go(func() { catalog.Run(working) })
	background.Go(func() { publisher.Run(working) })
	a := &App{close: func() {
		stop()
		background.Wait()
		publisher.Close()
		catalog.Close()
		if err := closeCache(); err != nil {
			log.WarnContext(working, "the cache does not close", "error", err)
		}
		pool.Close()
		traces.Close() // last, when there is nothing more to record
	}}
	ready := health.New(pg.SchemaCheck(pool, "schema_version_menu", SchemaVersion), catalog.Check())
	a.Server = server.New(c.HTTP, log, ready, registry, traces)
	if err := httpapi.Register(a.Server, menu.NewService(catalog), c.HTTP.Admin); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// Close ends what runs in the background, and gives the connections back.
func (a *App) Close() { a.close() }

// Run is the service from configuration to the end of ctx.
func Run(ctx context.Context, environ []string, stdout io.Writer) error {
	c, err := config.Load[Config](environ)
	if err != nil {
		return err
	}
	a, err := New(ctx, c, logging.New(c.Log, stdout, "menu"))
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Server.Run(ctx)
}
