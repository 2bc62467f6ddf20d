//go:build pgbouncer

package pgbouncer_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgbouncer"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// connect opens a connection that prepares no named statements.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	config, err := pgurl.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// TestSettingsLeak checks that another client sees session settings, so that a test
// behind this PgBouncer notices settings that a service leaves on a connection.
func TestSettingsLeak(t *testing.T) {
	t.Parallel()
	dsn := pgbouncer.Start(t, pgtest.Empty(t), pgbouncer.Options{Servers: 1})
	var heat string
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT set_config('oven.heat', 'high', false)").Scan(&heat); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT current_setting('oven.heat', true)").Scan(&heat); err != nil || heat != "high" {
		t.Errorf("the next client finds %q, %v", heat, err)
	}
}
