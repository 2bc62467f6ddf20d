package migrations_test

import (
	"io"
	"strings"
	"testing"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

// A run waits for a streaming replica that is far behind.
func TestFillHistoryWaitsForAReplica(t *testing.T) {
	t.Parallel()
	primary, standby := pgtest.Pair(t, pgserver.TestSettings())
	conn := connect(t, primary.URL("postgres"))
	exec(t, conn, migrationstest.OldTables())
	exec(t, conn, "INSERT INTO branch VALUES ('1', '1'); INSERT INTO orders VALUES ('1', 'kim', '1', '2025-08-03', '18:30:00')")
	d, err := migrationstest.On(t.Context(), primary.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "GRANT pg_read_all_stats TO migrator")
	replica := connect(t, standby.URL("postgres"))
	exec(t, replica, "SELECT pg_wal_replay_pause()")
	exec(t, conn, "CREATE TABLE load AS SELECT repeat('x', 1000) FROM generate_series(1, 70000)")
	for !value[bool](t, conn, `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), flush_lsn) < 1e6
		AND pg_wal_lsn_diff(flush_lsn, replay_lsn) > 64 << 20 FROM pg_stat_replication`) {
		exec(t, conn, "SELECT pg_sleep(0.05)")
	}
	var warnings []string
	ctx := migrations.WithWarnings(t.Context(), func(text string) {
		warnings = append(warnings, text)
		if value[int](t, conn, "SELECT count(created_at) FROM orders") != 0 {
			t.Error("filled meanwhile")
		}
		exec(t, replica, "SELECT pg_wal_replay_resume()")
	})
	b := migrations.Backfill{Zone: seoul(t), Progress: io.Discard}
	got, err := migrations.FillHistory(ctx, d.URL("migrator"), b)
	if err != nil || got.Filled.Moments != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "waiting: a replica is ") || !strings.HasSuffix(warnings[0], " MiB behind") {
		t.Errorf("warnings %q", warnings)
	}
}
