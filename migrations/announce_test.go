package migrations_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// Every committed change of the catalog is announced once in the outbox, with
// its version, and not by NOTIFY. Rolled-back changes are not announced.
func TestCatalogUpdated(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	menu, monolith := connect(t, d.URL("menu_svc")), connect(t, old.Monolith)
	owner := connect(t, d.URL("migrator"))
	exec(t, owner, "SET ROLE pizza_owner")
	listener := connect(t, d.URL("menu_svc"))
	exec(t, listener, "LISTEN catalog_updated")
	const insertType = "INSERT INTO pizza_types VALUES ('t', 'T', 'C', 'i');"

	for _, change := range []struct {
		name  string
		by    *pgx.Conn
		sql   string // one transaction, as PostgreSQL runs several statements sent at once
		times int
	}{
		{"one_statement", menu, insertType, 1},
		{"two_statements_of_one_transaction", menu, "INSERT INTO pizza VALUES ('t_s', 't', 'S', 1); UPDATE pizza SET price = 2 WHERE pizza_id = 't_s'", 1},
		{"old_system", monolith, "UPDATE pizza SET price = 3 WHERE pizza_id = 't_s'; DELETE FROM pizza WHERE pizza_id = 't_s'", 1},
		{"owner_truncates", owner, "TRUNCATE order_detail, pizza", 1},
		{"rolled_back", menu, "BEGIN; UPDATE pizza_types SET pizza_nm = 'U'; ROLLBACK", 0},
		{"partly_rolled_back", menu, "BEGIN; UPDATE pizza_types SET pizza_nm = 'U'; SAVEPOINT s; DELETE FROM pizza_types; ROLLBACK TO s; COMMIT", 1},
		{"wholly_rolled_back_to_a_savepoint", menu, "BEGIN; SAVEPOINT s; DELETE FROM pizza_types; ROLLBACK TO s; COMMIT", 0},
		{"read", menu, "SELECT * FROM pizza", 0},
	} {
		exec(t, owner, "TRUNCATE menu_outbox")
		if _, err := change.by.PgConn().Exec(t.Context(), change.sql).ReadAll(); err != nil {
			t.Fatalf("%s: %v", change.name, err)
		}
		version := value[string](t, menu, "SELECT version::text FROM catalog_version")
		want := []string{}
		for range change.times {
			want = append(want, version)
		}
		if got := heard(t, listener, menu); len(got) > 0 {
			t.Errorf("%s: notified of %q", change.name, got)
		}
		rows := values[string](t, menu, `
			SELECT subject FROM menu_outbox
			WHERE type = 'catalog.updated' AND data = jsonb_build_object('catalog_version', subject::bigint) ORDER BY seq`)
		if diff := cmp.Diff(want, append([]string{}, rows...)); diff != "" {
			t.Errorf("%s: outbox %s", change.name, diff)
		}
	}
}

// heard returns the notifications up to now. They arrive in commit order, so a
// final one ends the list.
func heard(t *testing.T, listener, sender *pgx.Conn) []string {
	t.Helper()
	exec(t, sender, "SELECT pg_notify('catalog_updated', 'end')")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	payloads := []string{}
	for {
		n, err := listener.WaitForNotification(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if n.Payload == "end" {
			return payloads
		}
		payloads = append(payloads, n.Payload)
	}
}
