package app_test

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	eventsconnect "example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/configtest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/app"
	"example.com/pizza/services/menu/internal/snapshot"
)

const (
	adminToken = "an-admin-token-of-32-bytes-or-more"
	asJSON     = "application/json"
	asForm     = "application/x-www-form-urlencoded"
)

// service is a running menu service.
type service struct{ *apitest.Service }

// start starts the service on a test database, with adminToken for catalog
// changes.
func start(t *testing.T, db *migrationstest.Database) *service {
	t.Helper()
	return startWith(t, db, server.Admin{Token: adminToken})
}

func startWith(t *testing.T, db *migrationstest.Database, admin server.Admin) *service {
	t.Helper()
	a, log := newLoggedApp(t, db, func(c *app.Config) { c.HTTP.Admin = admin })
	return &service{apitest.Serve(t, a.Server, api.Document).Logging(log)}
}

// newApp wires the service on a test database until the test ends.
func newApp(tb testing.TB, db *migrationstest.Database, change ...func(*app.Config)) *app.App {
	tb.Helper()
	a, _ := newLoggedApp(tb, db, change...)
	return a
}

// newLoggedApp is like newApp, and also returns the log.
func newLoggedApp(tb testing.TB, db *migrationstest.Database, change ...func(*app.Config)) (*app.App, *logtest.Recorder) {
	tb.Helper()
	c := configure(tb, db, change...)
	log := logtest.New(tb, adminToken, string(c.DB.Password))
	a, err := app.New(context.Background(), c, log.Logger("menu"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(a.Close)
	return a, log
}

// configure returns the configuration of a service on a test database.
func configure(tb testing.TB, db *migrationstest.Database, change ...func(*app.Config)) app.Config {
	tb.Helper()
	c := app.Config{
		HTTP:     server.Config{RequestTimeout: 10 * time.Second, ShutdownTimeout: 5 * time.Second, Admin: server.Admin{Token: adminToken}},
		DB:       pgtest.Config(tb, db.URL("menu_svc")),
		Snapshot: snapshot.Config{MaxStale: time.Hour},
	}
	var err error
	if c.Events, err = config.Load[eventsconnect.Config](nil); err != nil {
		tb.Fatal(err)
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// write changes the catalog as the admin.
func (s *service) write(t *testing.T, method, path, body string) apitest.Answer {
	t.Helper()
	return s.Call(t, method, path, body, "Authorization", "Bearer "+adminToken, "Content-Type", asJSON)
}

// superuser connects to a test database, bypassing the service.
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
	configtest.Tables(t, "../../../../docs/configuration.md", "menu", reflect.TypeFor[app.Config]())
}

// The chart rejects what the service would reject.
func TestChartKnowsTheConfiguration(t *testing.T) {
	configtest.Rules(t, "../../../../helm/settings/menu.json", reflect.TypeFor[app.Config]())
}
