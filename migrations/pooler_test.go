//go:build pgbouncer

package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgbouncer"
	"example.com/pizza/pkg/testkit/pgtest"
)

// everything are the startup parameters of migrate: a PgBouncer that drops them
// lets it in.
var everything = []string{"statement_timeout", "lock_timeout", "search_path", "role", "row_security", "timezone"}

// TestPoolerIsRefused: through a PgBouncer of any configuration, no step of
// migrate begins, and the error says what to do.
func TestPoolerIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]pgbouncer.Options{
		"as the README says":        {Servers: 5},
		"parameters dropped":        {Servers: 5, Ignore: everything},
		"one connection":            {Servers: 1, Ignore: everything},
		"prepared statements off":   {Servers: 2, Ignore: everything, Unprepared: true},
		"settings kept":             {Servers: 5, Ignore: everything, Query: "SET search_path = public"},
		"settings kept, one":        {Servers: 1, Ignore: everything, Query: "SET search_path = public"},
		"session, parameters gone":  {Servers: 5, Mode: "session", Ignore: everything},
		"statement, parameters too": {Servers: 5, Mode: "statement", Ignore: everything},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.Empty(t)
			dsn := pgbouncer.Start(t, direct, o)
			_, created := migrations.CreateDatabase(t.Context(), dsn)
			_, limited := migrations.LimitConnections(t.Context(), dsn, migrations.Connections{Login: new(1)})
			for step, err := range map[string]error{
				"database":    created,
				"roles":       migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()),
				"connections": limited,
				"up":          migrations.Up(t.Context(), dsn),
				"down":        migrations.Down(t.Context(), dsn, ""),
				"seed":        migrations.Seed(t.Context(), dsn),
			} {
				if !errors.As(err, new(migrations.SettingsError)) ||
					!strings.Contains(err.Error(), "leads to a connection pooler") {
					t.Errorf("%s: %v", step, err)
				}
			}
			conn, err := pgx.Connect(t.Context(), direct)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			var tables int
			err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')").Scan(&tables)
			if err != nil || tables != 0 {
				t.Errorf("%d tables were made, %v", tables, err)
			}
		})
	}
}
