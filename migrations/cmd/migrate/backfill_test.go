package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/pgurl"
)

// The history of an old system, as an operator fills it.
func TestBackfill(t *testing.T) {
	t.Parallel()
	d, err := migrationstest.On(t.Context(), migrationstest.NewOldSystem(t).DSN)
	if err != nil {
		t.Fatal(err)
	}
	p := program{"DATABASE_URL": d.URL("migrator"), "SHOP_TIMEZONE": "UTC"}
	p.mustRun(t, []string{"backfill"},
		"orders.created_at        0       1", "order_detail.unit_price  0       2", "orders.total_price       0       1",
		"1 stay empty: the line's pizza has no price on the menu",
		"1 stay empty: the order's time is no time such as 11:38:36",
		"examined 2 orders; nothing is changed. What is left, --yes fills")
	stdout, stderr, err := p.run(t, "backfill", "--yes", "--json")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(stderr, "filling: 100%  2/2 orders, ") {
		t.Errorf("progress %q", stderr)
	}
	var got migrations.BackfillReport
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(migrations.Gaps{Moments: 1, Prices: 2, Totals: 1}, got.Filled); diff != "" {
		t.Error(diff)
	}
	p.mustRun(t, []string{"backfill", "--yes"}, "orders.created_at        0       0", "the history of 2 orders is filled")
	conn, err := pgurl.Connect(t.Context(), d.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var inUTC bool
	const noon = "SELECT created_at = '2025-08-01 12:00Z' FROM orders WHERE order_id = '1'"
	if err := conn.QueryRow(t.Context(), noon).Scan(&inUTC); err != nil || !inUTC {
		t.Errorf("SHOP_TIMEZONE is not used: %v", err)
	}
	// Locked rows are no success.
	for _, sql := range []string{
		"UPDATE orders SET created_at = NULL WHERE order_id = '1'", "BEGIN", "SELECT FROM orders FOR UPDATE",
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	stdout, _, err = p.run(t, "backfill", "--yes")
	if exitStatus(err) != 1 || !strings.Contains(err.Error(), "run it again") ||
		!strings.Contains(stdout, "orders.created_at        0       1") {
		t.Errorf("%v, stdout %q", err, stdout)
	}
}
