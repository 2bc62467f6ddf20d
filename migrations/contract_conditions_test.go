package migrations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
)

// ready returns a database on which nothing is in the way of the contract, and which has
// no NOT NULL of its own.
func ready(t *testing.T) (*migrationstest.Database, migrationstest.OldSystem, migrations.ContractOptions) {
	t.Helper()
	old := migrationstest.NewOldSystem(t, " NOT NULL", "")
	d, o := migrate(t, old.DSN), migrationstest.ContractOptions(t)
	if n := d.Prepare(t, o); n < 4 { // moments, prices, totals, a moment that nobody knows, date and time
		t.Errorf("%d remedies", n)
	}
	return d, old, o
}

// Each condition is broken once, found, and mended by its remedy.
func TestContractConditions(t *testing.T) {
	t.Parallel()
	d, old, o := ready(t)
	admin := connect(t, old.DSN)
	check := func() []takeover.Finding {
		t.Helper()
		r, err := migrations.CheckContract(t.Context(), d.URL("migrator"), o)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(r.Findings, func(f takeover.Finding) bool { return f.Level != takeover.Stop })
	}
	const (
		order = "INSERT INTO orders VALUES ('x', 'kim', NULL, "
		pizza = "INSERT INTO pizza VALUES ('x', 'hawaiian', "
	)
	for name, c := range map[string]struct {
		sql   string
		want  string // check, object and rows
		found string // a part of what it says
		undo  string // what sql has done, where the remedy does not
	}{
		"member_pwd":    {sql: "UPDATE member SET member_pwd = NULL", want: "null member.member_pwd 2"},
		"member_nm":     {sql: "UPDATE member SET member_nm = NULL", want: "null member.member_nm 2"},
		"pizza_nm":      {sql: "UPDATE pizza_types SET pizza_nm = NULL", want: "null pizza_types.pizza_nm 3"},
		"pizza_categ":   {sql: "UPDATE pizza_types SET pizza_categ = NULL", want: "null pizza_types.pizza_categ 3"},
		"pizza_img_url": {sql: "UPDATE pizza_types SET pizza_img_url = NULL", want: "null pizza_types.pizza_img_url 3"},
		"bran_nm":       {sql: "UPDATE branch SET bran_nm = NULL", want: "null branch.bran_nm 2"},
		"member_id":     {sql: "UPDATE orders SET member_id = NULL WHERE order_id = '1'", want: "null orders.member_id 1"},
		"size":          {sql: pizza + "NULL, 1)", want: "null pizza.size 1", found: "the pizza is not on the menu"},
		"quantity": {
			sql: "UPDATE order_detail SET quantity = NULL WHERE order_detail_id = 17", want: "null order_detail.quantity 1",
		},
		"price":     {sql: pizza + "'S', NULL)", want: "null pizza.price 1"},
		"no_price":  {sql: pizza + "'S', 'NaN')", want: "price pizza.price 1"},
		"negative":  {sql: pizza + "'S', -1)", want: "price pizza.price 1"},
		"no_moment": {sql: "UPDATE orders SET created_at = NULL WHERE order_id = '1'", want: "history orders.created_at 1"},
		"no_total":  {sql: "UPDATE orders SET total_price = NULL WHERE order_id = '1'", want: "history orders.total_price 1"},
		"no_line_price": {
			sql:  "UPDATE order_detail SET unit_price = NULL WHERE order_detail_id = 1",
			want: "history order_detail.unit_price 1",
		},
		"unknown_moment": {
			sql:  order + "'today', '12:00:00'); UPDATE orders SET created_at = NULL WHERE order_id = 'x'",
			want: "history orders.created_at 1", found: noDate,
		},
		"no_date":     {sql: order + "NULL, '12:00:00')", want: "date orders.date 1", found: "as 2015-01-31: NULL"},
		"other_date":  {sql: order + "'2025/01/31', '12:00:00')", want: "date orders.date 1", found: "'2025/01/31'"},
		"no_such_day": {sql: order + "'2025-02-30', '12:00:00')", want: "date orders.date 1", found: "'2025-02-30'"},
		"year_zero":   {sql: order + "'0000-02-28', '12:00:00')", want: "date orders.date 1", found: "'0000-02-28'"},
		"short_time":  {sql: order + "'2025-01-31', '9:30')", want: "date orders.time 1", found: "as 11:38:36: '9:30'"},
		"end_of_day":  {sql: order + "'2025-01-31', '24:00:00')", want: "date orders.time 1"},
		"zeros":       {sql: order + "'2025-01-31', '12:00:00.50')", want: "date orders.time 1"},
		"quote":       {sql: order + "'2025-01-31', 'o''clock')", want: "date orders.time 1", found: "'o''clock'"},
		"view": {
			sql: "CREATE VIEW days AS SELECT date FROM orders", want: "dependent orders.date 0",
			found: "view days uses the column", undo: "DROP VIEW days",
		},
		"index_for_like": {
			sql: "CREATE INDEX mine ON orders (time varchar_pattern_ops)", want: "dependent orders.time 0",
			found: "index mine", undo: "DROP INDEX mine",
		},
		"rule": {
			sql: "ALTER TABLE orders ADD CONSTRAINT mine CHECK (date <> '')", want: "dependent orders.date 0",
			found: "constraint mine", undo: "ALTER TABLE orders DROP CONSTRAINT mine",
		},
		"computed": {
			sql:  "ALTER TABLE pizza ADD COLUMN twice float8 GENERATED ALWAYS AS (price * 2) STORED",
			want: "dependent pizza.price 0", found: "twice", undo: "ALTER TABLE pizza DROP COLUMN twice",
		},
		"right_of_everybody": {
			sql: "GRANT SELECT ON orders TO PUBLIC", want: "old-role monolith 0",
			found: "the rights of PUBLIC", undo: "REVOKE SELECT ON orders FROM PUBLIC",
		},
		"migration": {
			sql:  "UPDATE schema_version_menu SET is_applied = false WHERE version_id = 1",
			want: "migrations database 0", found: "menu/00001_catalog",
			undo: "UPDATE schema_version_menu SET is_applied = true WHERE version_id = 1",
		},
		"newer_migration": {
			sql:  "INSERT INTO schema_version_menu (version_id, is_applied) VALUES (999, true)",
			want: "migrations database 0", found: "of a newer program",
			undo: "DELETE FROM schema_version_menu WHERE version_id = 999",
		},
	} {
		t.Run(name, func(t *testing.T) {
			exec(t, admin, c.sql)
			got := check()
			if !slices.ContainsFunc(got, func(f takeover.Finding) bool {
				return fmt.Sprint(f.Check, " ", f.Object, " ", f.Rows) == c.want && strings.Contains(f.Found, c.found)
			}) {
				t.Errorf("found %+v", got)
			}
			if c.undo != "" {
				exec(t, admin, c.undo)
			}
			d.Prepare(t, o)
			exec(t, admin, "DELETE FROM orders WHERE order_id = 'x'; DELETE FROM pizza WHERE pizza_id = 'x'")
			if left := check(); len(left) > 0 {
				t.Errorf("left: %+v", left)
			}
		})
	}
	t.Run("sessions", func(t *testing.T) {
		monolith := connect(t, old.Monolith)
		got := check()
		if len(got) != 1 || !strings.HasPrefix(got[0].Found, "1 sessions, from addresses that only") {
			t.Errorf("found %+v", got)
		}
		r, err := migrations.CheckContract(t.Context(), d.URL(""), o)
		if err != nil || r.Go() || !strings.HasPrefix(r.Findings[0].Found, "1 sessions, from 127.0.0.1") {
			t.Errorf("a superuser finds %+v, %v", r.Findings, err)
		}
		for name, c := range map[string]bool{"sessions": false, "parity": true, "date": true} {
			if !slices.ContainsFunc(r.Conditions(), func(x takeover.Condition) bool { return x.Name == name && x.Go == c }) {
				t.Errorf("%s: go is not %v", name, c)
			}
		}
		leave(t, monolith, admin)
	})
	for role, found := range map[string]string{
		"nobody": "no such role", "order_svc": "a role of the services", "postgres": "a superuser",
	} {
		t.Run("role_"+role, func(t *testing.T) {
			other := o
			other.OldRole = role
			r, err := migrations.CheckContract(t.Context(), d.URL("migrator"), other)
			if err != nil || r.Go() || r.Findings[0].Check != "old-role" || !strings.Contains(r.Findings[0].Found, found) {
				t.Errorf("%+v, %v", r.Findings, err)
			}
		})
	}
	t.Run("member_of_our_role", func(t *testing.T) {
		exec(t, admin, "CREATE ROLE contract_test_member NOLOGIN; GRANT order_svc TO contract_test_member")
		defer exec(t, admin, "DROP ROLE contract_test_member")
		other := o
		other.OldRole = "contract_test_member"
		r, err := migrations.CheckContract(t.Context(), d.URL("migrator"), other)
		if err != nil || r.Go() || r.Findings[0].Remedy != "REVOKE order_svc FROM contract_test_member" {
			t.Errorf("%+v, %v", r.Findings, err)
		}
	})
}

// Everything is said at once, and nothing is changed.
func TestContractSaysEverythingAtOnce(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t, " NOT NULL", "")
	d, o := migrate(t, old.DSN), migrationstest.ContractOptions(t)
	exec(t, connect(t, old.DSN), `
		UPDATE member SET member_nm = NULL; INSERT INTO pizza VALUES ('q', 'hawaiian', 'S', 'NaN');
		CREATE VIEW days AS SELECT date FROM orders`)
	connect(t, old.Monolith)
	o.Parity += ".none"
	before := schema(t, old.DSN)
	r, err := migrations.CheckContract(t.Context(), d.URL("migrator"), o)
	if err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, c := range r.Conditions() {
		if !c.Go {
			refused = append(refused, c.Name)
		}
	}
	want := []string{"parity", "sessions", "history", "null", "date", "price", "dependent"}
	if diff := cmp.Diff(want, refused); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, schema(t, old.DSN)); diff != "" {
		t.Error(diff)
	}
	exec(t, connect(t, old.Monolith), "INSERT INTO orders VALUES ('8', 'kim', NULL, '2024-02-29', '23:59:59')")
}
