//go:build pgbouncer

package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgbouncer"
	"example.com/pizza/pkg/testkit/pgtest"
)

// Dates are ISO through a pooler too, in front of a server that shows others.
func TestDatesThroughAPooler(t *testing.T) {
	t.Parallel()
	direct := pgtest.Empty(t)
	admin, err := pgx.Connect(t.Context(), direct)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	for _, style := range []string{"German", "SQL, DMY"} {
		set := "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = " + style + "', current_database()); END $$"
		if _, err := admin.Exec(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		pooled := pgbouncer.Start(t, direct, pgbouncer.Options{Servers: 1})
		pool, err := postgres.Open(t.Context(), pgtest.Config(t, pooled), "dates", prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		var date string
		err = pool.QueryRow(t.Context(), "SELECT date '2015-01-31'::text").Scan(&date)
		if err != nil || date != "2015-01-31" {
			t.Errorf("%s: %q, %v", style, date, err)
		}
	}
}
