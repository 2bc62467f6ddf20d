package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/pgurl"
)

// A snapshot of the old system is compared with what is there after the take-over and the
// backfill, and after each change.
func TestReconcile(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string][]string{"design_document": nil, "integer_ids": migrationstest.IntegerIDs()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, replace...)
			monolith := program{"DATABASE_URL": old.Monolith}
			file := filepath.Join(t.TempDir(), "snapshot.json")
			const all = "2 orders with 3 lines of 6 pizzas on 2 days"
			monolith.mustRun(t, []string{"reconcile", "--snapshot", file}, "wrote "+all)
			d, err := migrationstest.On(t.Context(), old.DSN)
			if err != nil {
				t.Fatal(err)
			}
			migrator := program{"DATABASE_URL": d.URL("migrator")}
			migrator.mustRun(t, []string{"backfill", "--yes"})
			compare := []string{"reconcile", "--compare", file}
			monolith.mustRun(t, compare, "all there and unchanged: "+all)

			conn, err := pgurl.Connect(t.Context(), d.URL(""))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			const first, second = "2025-08-01", "2025-8-2"
			for _, change := range []struct {
				name, sql string
				want      []migrations.DayDiff
			}{
				{"lost_line", "DELETE FROM order_detail WHERE order_detail_id = 41", []migrations.DayDiff{
					{Day: first, Before: count(1, 2, 3), After: count(1, 1, 2), MissingLines: 1},
				}},
				{"changed_quantity", "UPDATE order_detail SET quantity = 4 WHERE order_detail_id = 17", []migrations.DayDiff{
					{Day: second, Before: count(1, 1, 3), After: count(1, 1, 4), MissingLines: 1, AddedLines: 1},
				}},
				{"changed_pizza", "UPDATE order_detail SET pizza_id = 'hawaiian_m' WHERE order_detail_id = 1", []migrations.DayDiff{
					{Day: first, Before: count(1, 2, 3), After: count(1, 2, 3), MissingLines: 1, AddedLines: 1},
				}},
				{"lost_order", "DELETE FROM order_detail WHERE order_id = '2'; DELETE FROM orders WHERE order_id = '2'",
					[]migrations.DayDiff{{Day: second, Before: count(1, 1, 3), MissingOrders: 1, MissingLines: 1}}},
				{"order_of_another_member", "UPDATE orders SET member_id = 'mia' WHERE order_id = '1'", []migrations.DayDiff{
					{Day: first, Before: count(1, 2, 3), After: count(1, 2, 3), MissingOrders: 1, AddedOrders: 1},
				}},
				{"changed_date", "UPDATE orders SET date = '2025-08-03' WHERE order_id = '1'", []migrations.DayDiff{
					{Day: first, Before: count(1, 2, 3), MissingOrders: 1, MissingLines: 2},
					{Day: "2025-08-03", After: count(1, 2, 3), AddedOrders: 1, AddedLines: 2},
				}},
				{"line_replaced_by_its_like", `DELETE FROM order_detail WHERE order_detail_id = 41;
					INSERT INTO order_detail VALUES (41, '1', 'hawaiian_m', 1)`, []migrations.DayDiff{
					{Day: first, Before: count(1, 2, 3), After: count(1, 2, 3), MissingLines: 1, AddedLines: 1},
				}},
				{"later_order_and_lines", `INSERT INTO orders VALUES ('7', 'kim', NULL, '2025-08-01', '13:00:00');
					INSERT INTO order_detail VALUES (100, '7', NULL, 5); INSERT INTO order_detail VALUES (101, NULL, NULL, 1)`,
					[]migrations.DayDiff{
						{Day: first, Before: count(1, 2, 3), After: count(2, 3, 8), AddedOrders: 1, AddedLines: 1},
						{Day: "no order", After: count(0, 1, 1), AddedLines: 1},
					}},
			} {
				const keep = "CREATE TABLE o AS TABLE orders; CREATE TABLE l AS TABLE order_detail; "
				if _, err := conn.Exec(t.Context(), keep+change.sql); err != nil {
					t.Fatalf("%s: %v", change.name, err)
				}
				stdout, _, err := monolith.run(t, append(compare, "--json")...)
				var got struct {
					Reconciled bool                 `json:"reconciled"`
					Days       []migrations.DayDiff `json:"days"`
				}
				if err := json.Unmarshal([]byte(stdout), &got); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(change.want, got.Days); diff != "" {
					t.Errorf("%s: %s", change.name, diff)
				}
				status := 3
				if change.name == "later_order_and_lines" {
					status = 0
				}
				if exitStatus(err) != status || got.Reconciled != (status == 0) {
					t.Errorf("%s: exit status %d: %v", change.name, exitStatus(err), err)
				}
				stdout, _, _ = monolith.run(t, compare...)
				for _, d := range change.want {
					if !strings.Contains(stdout, d.Day+" ") || strings.Contains(stdout, "MISSING or changed: ") != (status == 3) {
						t.Errorf("%s: prints %s", change.name, stdout)
					}
				}
				if _, err := conn.Exec(t.Context(), `DELETE FROM order_detail; DELETE FROM orders;
					SET session_replication_role = replica; INSERT INTO orders TABLE o; INSERT INTO order_detail TABLE l;
					RESET session_replication_role; DROP TABLE o, l`); err != nil {
					t.Fatal(err)
				}
			}
			monolith.mustRun(t, compare, "all there and unchanged: ")
		})
	}
}

func count(orders, lines int, pizzas int64) migrations.DayCount {
	return migrations.DayCount{Orders: orders, Lines: lines, Pizzas: pizzas}
}

func TestReconcileUsage(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other.json")
	if err := os.WriteFile(other, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := program{"DATABASE_URL": "postgres://a:b@localhost/c"}
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "either --snapshot FILE or --compare FILE is needed"},
		{[]string{"--snapshot", "a", "--compare", "b"}, "either --snapshot FILE or --compare FILE is needed"},
		{[]string{"--compare", other + "x"}, "no such file"},
		{[]string{"--compare", other}, "is no snapshot"},
	} {
		_, _, err := p.run(t, append([]string{"reconcile"}, test.args...)...)
		if exitStatus(err) != 2 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.args, err)
		}
	}
}
