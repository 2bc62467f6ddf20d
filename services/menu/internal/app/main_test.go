package app_test

import (
	"context"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/apitest"
	"example.com/pizza/pkg/config/configtest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/pgtest"
	"example.com/pizza/pkg/server"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/app"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	adminToken = "an-admin-token-of-32-bytes-or-more"
	asJSON     = "application/json"
	asForm     = "application/x-www-form-urlencoded"
)

// service is a running menu service.
type service struct{ *apitest.Service }

// start starts the service on a test database, with its catalog open to
// adminToken.
func start(t *testing.T, db *migrationstest.Database) *service {
	t.Helper()
	return startWith(t, db, app.Admin{Token: adminToken})
}

func startWith(t *testing.T, db *migrationstest.Database, admin app.Admin) *service {
	t.Helper()
	a, err := app.New(context.Background(), app.Config{
		HTTP:  server.Config{RequestTimeout: 10 * time.Second, ShutdownTimeout: 5 * time.Second},
		DB:    pgtest.Config(t, db.URL("menu_svc")),
		Admin: admin,
	}, logging.New(logging.Config{Level: slog.LevelError + 1}, t.Output(), "menu"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return &service{apitest.Serve(t, a.Server, api.Document)}
}

// write changes the catalog as the admin.
func (s *service) write(t *testing.T, method, path, body string) apitest.Answer {
	t.Helper()
	return s.Call(t, method, path, body, "Authorization", "Bearer "+adminToken, "Content-Type", asJSON)
}

// superuser connects to a test database past the service.
func superuser(t *testing.T, db *migrationstest.Database) *pgx.Conn {
	t.Helper()
	return connect(t, db.URL(""))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestReadmeListsTheConfiguration(t *testing.T) {
	configtest.Readme(t, "../../../../README.md", "menu", reflect.TypeFor[app.Config]())
}
