// Package app wires the menu service. main and the component tests share it.
package app

import (
	"context"
	"io"
	"log/slog"

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
	traces, err := telemetry.Start(ctx, c.Traces, telemetry.Process{Service: "menu", Version: c.Log.Version, Environment: c.Log.Environment}, log, registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(traces.Close) // last, when no more spans end
	pool, err := pg.Open(ctx, c.DB, "menu", registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(pool.Close)
	var shared snapshot.Cache // nil without CACHE_URL
	if c.Cache.URL != "" {
		cache, err := redis.New(c.Cache, log, registry)
		if err != nil {
			return nil, err
		}
		shared = cache
		a.closers.Add(func() { _ = cache.Close() }) // only reports an earlier close
	}
	outbox := events.Outbox{Table: "menu_outbox", Source: "/menu"}
	publisher, err := connect.NewPublisher(ctx, c.Events, c.DB, "menu", outbox, log, registry, traces)
	if err != nil {
		return nil, err
	}
	a.closers.Add(publisher.Close)
	catalog := snapshot.New(postgres.NewStore(pool, publisher.Wake), shared, c.Snapshot, log, registry)
	a.closers.Add(catalog.Close)

	ready := health.New(pg.SchemaCheck(pool, "schema_version_menu", SchemaVersion), catalog.Check())
	a.Server = server.New(c.HTTP, log, ready, registry, traces)
	if err := httpapi.Register(a.Server, menu.NewService(catalog), c.HTTP.Admin); err != nil {
		return nil, err
	}
	a.closers.Add(server.Background(ctx, catalog.Run, publisher.Run))
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
	a, err := New(ctx, c, logging.New(c.Log, stdout, "menu"))
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Server.Run(ctx)
}
