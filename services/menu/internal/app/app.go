// Package app puts the menu service together: configuration, and the one
// straight line of wiring that main and the component tests share.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/server"
	"example.com/pizza/services/menu/internal/httpapi"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/postgres"
)

// SchemaVersion is the migration of the menu tables that this build needs.
const SchemaVersion = 5

// Config is the configuration of the menu service.
type Config struct {
	HTTP  server.Config
	Log   logging.Config
	DB    pg.Config
	Admin Admin
}

// Admin is who may change the catalog.
type Admin struct {
	Token string `env:"ADMIN_TOKEN" doc:"Credential for changing the catalog, at least 32 bytes; empty closes the catalog to changes"`
}

// minToken is the least length of the admin token in bytes: too long to guess.
const minToken = 32

// Validate reports a token that could be guessed.
func (a Admin) Validate() error {
	if a.Token != "" && len(a.Token) < minToken {
		return fmt.Errorf("ADMIN_TOKEN must be at least %d bytes long (it has %d), or empty", minToken, len(a.Token))
	}
	return nil
}

// App is a wired service.
type App struct {
	Server *server.Server
	pool   *pgxpool.Pool
}

// New wires the service. It does not need the database to be there.
func New(ctx context.Context, c Config, log *slog.Logger) (*App, error) {
	pool, err := pg.Open(ctx, c.DB, "menu")
	if err != nil {
		return nil, err
	}
	ready := health.New(pg.SchemaCheck(pool, "schema_version_menu", SchemaVersion))
	s := server.New(c.HTTP, log, ready, server.NewRegistry())
	if err := httpapi.Register(s, menu.NewService(postgres.NewStore(pool)), c.Admin.Token); err != nil {
		pool.Close()
		return nil, err
	}
	return &App{Server: s, pool: pool}, nil
}

// Close gives the connections back.
func (a *App) Close() { a.pool.Close() }

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
