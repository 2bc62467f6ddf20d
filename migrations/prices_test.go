package migrations_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

// total and prices describe an order: its total, and its lines with their prices, which
// are derived (*) or recorded.
const (
	totalOf  = "SELECT coalesce(total_price::text, 'none') FROM orders WHERE order_id = '3'"
	pricesOf = `SELECT coalesce(string_agg(coalesce(unit_price::text, 'none') ||
			CASE WHEN price_derived THEN '*' ELSE '' END, ' '
		ORDER BY order_detail_id), '') FROM order_detail WHERE order_id = '3'`
)

// What the old system does to lines while both systems write, and what the services read
// then.
func TestPricesOfTheOldSystem(t *testing.T) {
	t.Parallel()
	const line = "INSERT INTO order_detail SELECT max(order_detail_id) + 1, "
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, v.replace...)
			migrate(t, old.DSN)
			admin, monolith := connect(t, old.DSN), connect(t, old.Monolith)
			exec(t, monolith, "INSERT INTO orders VALUES ('3', 'kim', 'BRANCH001', '2025-08-01', '12:00:00')")
			for _, step := range []struct{ sql, prices, total string }{
				{line + "'3', 'bbq_ckn_s', 2 FROM order_detail", "12.75*", "25.50"},
				{"BEGIN; " + line + "'3', 'hawaiian_m', 1 FROM order_detail; " +
					line + "'3', 'of_no_type', 10 FROM order_detail; COMMIT",
					"12.75* 13.25* 0.10*", "39.75"},
				{"UPDATE pizza SET price = 99 WHERE pizza_id = 'bbq_ckn_s'", "12.75* 13.25* 0.10*", "39.75"},
				{"UPDATE order_detail SET pizza_id = pizza_id, quantity = 3 WHERE order_id = '3' AND quantity = 2",
					"12.75* 13.25* 0.10*", "52.50"},
				{"UPDATE order_detail SET pizza_id = 'bbq_ckn_s' WHERE order_id = '3' AND pizza_id = 'of_no_type'",
					"12.75* 13.25* 99.00*", "1041.50"},
				{"DELETE FROM order_detail WHERE order_id = '3' AND quantity = 10", "12.75* 13.25*", "51.50"},
				{line + "'3', NULL, 1 FROM order_detail", "12.75* 13.25* none", "none"},
				{"DELETE FROM order_detail WHERE order_id = '3' AND pizza_id IS NULL", "12.75* 13.25*", "51.50"},
				{"UPDATE pizza SET price = 'NaN' WHERE pizza_id = 'of_no_type'; " + line + "'3', 'of_no_type', 1 FROM order_detail",
					"12.75* 13.25* none", "none"},
				{"UPDATE order_detail SET order_id = '1' WHERE order_id = '3' AND pizza_id = 'of_no_type'",
					"12.75* 13.25*", "51.50"},
				{"UPDATE pizza SET price = -1 WHERE pizza_id = 'of_no_type'; " + line + "'3', 'of_no_type', 1 FROM order_detail",
					"12.75* 13.25* none", "none"},
				{"UPDATE order_detail SET pizza_id = 'bbq_ckn_s', quantity = 0 WHERE order_id = '3' AND pizza_id = 'of_no_type'",
					"12.75* 13.25* 99.00*", "51.50"},
				{"UPDATE pizza SET price = 'Infinity' WHERE pizza_id = 'of_no_type'; " +
					"UPDATE order_detail SET pizza_id = 'of_no_type' WHERE order_id = '3' AND quantity = 0",
					"12.75* 13.25* none", "none"},
				{"UPDATE pizza SET price = 1.005 WHERE pizza_id = 'of_no_type'; DELETE FROM order_detail WHERE order_id = '3'; " +
					line + "'3', 'of_no_type', 1 FROM order_detail", "1.01*", "1.01"},
				{"UPDATE order_detail SET quantity = -1 WHERE order_id = '3'", "1.01*", "none"},
				{"UPDATE order_detail SET quantity = 2147483647 WHERE order_id = '3'", "1.01*", "none"},
				{"DELETE FROM order_detail WHERE order_id = '3'", "", "none"},
			} {
				if _, err := monolith.Exec(t.Context(), step.sql, pgx.QueryExecModeSimpleProtocol); err != nil {
					t.Fatalf("%s: %v", step.sql, err)
				}
				if got := value[string](t, admin, pricesOf); got != step.prices {
					t.Errorf("%s: prices %q, want %q", step.sql, got, step.prices)
				}
				if got := value[string](t, admin, totalOf); got != step.total {
					t.Errorf("%s: total %q, want %q", step.sql, got, step.total)
				}
			}
			exec(t, monolith, "DELETE FROM orders WHERE order_id = '3'")
		})
	}
}

// A line that the service placed keeps its recorded price when the old system changes the
// quantity, and the total follows. The service's own statement is left alone.
func TestPricesOfTheService(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	admin, monolith := connect(t, d.URL("")), connect(t, old.Monolith)
	check := func(prices, total string) {
		t.Helper()
		if got := value[string](t, admin, pricesOf); got != prices {
			t.Errorf("prices %q, want %q", got, prices)
		}
		if got := value[string](t, admin, totalOf); got != total {
			t.Errorf("total %q, want %q", got, total)
		}
	}
	if err := placeAsService(t.Context(), connectAs(t, d, "lee"), "3", 1); err != nil {
		t.Fatal(err)
	}
	check("13.25", "10.00") // what the service said, whatever the sum
	exec(t, monolith, "UPDATE order_detail SET quantity = 2 WHERE order_id = '3'")
	check("13.25", "26.50")
	exec(t, monolith, "UPDATE order_detail SET pizza_id = 'bbq_ckn_s' WHERE order_id = '3'")
	check("12.75*", "25.50")
}

// The triggers wait for nobody, and nobody waits for them before the end of a
// transaction: here each of two transactions would have to wait for the other.
func TestPricesTakeNoLocks(t *testing.T) {
	t.Parallel()
	_, old := takenOver(t)
	one, two := connect(t, old.Monolith), connect(t, old.Monolith)
	for _, conn := range []*pgx.Conn{one, two} {
		exec(t, conn, "SET lock_timeout = '1s'")
	}
	exec(t, one, "INSERT INTO orders VALUES ('3', 'kim', NULL, 'd', 't'), ('4', 'kim', NULL, 'd', 't')")
	const line = "INSERT INTO order_detail VALUES (100, $1, 'bbq_ckn_s', 1)"
	for _, conn := range []*pgx.Conn{one, two} {
		exec(t, conn, "BEGIN")
		exec(t, conn, line, "3")
		exec(t, conn, line, "4")
	}
	exec(t, two, "UPDATE orders SET time = 'later' WHERE order_id = '4'")
	exec(t, one, "UPDATE orders SET time = 'later' WHERE order_id = '3'")
	exec(t, one, "SET lock_timeout = 0") // which a trigger could handle
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := one.Exec(ctx, "COMMIT"); err != nil { // order 4 is locked
		t.Fatal(err)
	}
	exec(t, two, "COMMIT")
	admin := connect(t, old.DSN)
	const totals = "SELECT string_agg(total_price::text, ' ') FROM orders WHERE order_id IN ('3', '4')"
	if got := value[string](t, admin, totals); got != "25.50 25.50" {
		t.Errorf("totals %s", got)
	}
}

// Under REPEATABLE READ and SERIALIZABLE, nothing fails, and the total is left to
// `migrate backfill`.
func TestPricesUnderOtherIsolation(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"REPEATABLE READ", "SERIALIZABLE"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			d, old := takenOver(t)
			monolith, admin := connect(t, old.Monolith), connect(t, d.URL(""))
			exec(t, monolith, "INSERT INTO orders VALUES ('3', 'kim', NULL, 'd', 't')")
			exec(t, monolith, "BEGIN ISOLATION LEVEL "+level)
			exec(t, monolith, "INSERT INTO order_detail VALUES (100, '3', 'bbq_ckn_s', 1)")
			exec(t, admin, "UPDATE orders SET time = 'later' WHERE order_id = '3'")
			exec(t, monolith, "COMMIT")
			prices, total := value[string](t, admin, pricesOf), value[string](t, admin, totalOf)
			if prices != "12.75*" || total != "none" {
				t.Errorf("prices %s, total %s", prices, total)
			}
		})
	}
}

// Down takes the derived prices with it, and leaves the recorded ones.
func TestDownForgetsDerivedPrices(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	if err := placeAsService(t.Context(), connectAs(t, d, "lee"), "4", 1); err != nil {
		t.Fatal(err)
	}
	if err := placeAsMonolith(t.Context(), connect(t, old.Monolith), "3", 1); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, d.URL(""))
	for value[bool](t, admin, "SELECT to_regproc('lines_total') IS NOT NULL") {
		if err := migrations.Down(t.Context(), d.URL("migrator"), migrations.Order); err != nil {
			t.Fatal(err)
		}
	}
	got := value[string](t, admin, `
		SELECT string_agg(concat_ws(' ', order_id, coalesce(unit_price, 0), coalesce(total_price, 0)), ', ' ORDER BY order_id)
		FROM orders JOIN order_detail USING (order_id) WHERE order_id IN ('3', '4')`)
	if want := "3 0 0, 4 13.25 10.00"; got != want {
		t.Errorf("prices and totals: %s, want %s", got, want)
	}
}
