package migrations_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	eventspg "example.com/pizza/pkg/events/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
)

// withOrder returns the seeded database with one order of one line.
func withOrder(t *testing.T) *migrationstest.Database {
	t.Helper()
	d := migrationstest.NewSeeded(t)
	conn := connectAs(t, d, "demo")
	exec(t, conn, "INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES ('1', 'demo', 'BRANCH001', '2026-01-01', '12:00:00')")
	exec(t, conn, "INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('1', 'bbq_ckn_s', 2)")
	return d
}

type refusal struct{ name, role, sql, code string }

func refuse(t *testing.T, d *migrationstest.Database, refusals []refusal) {
	t.Helper()
	conns := map[string]*pgx.Conn{}
	for _, r := range refusals {
		if conns[r.role] == nil {
			conns[r.role] = connect(t, d.URL(r.role))
			exec(t, conns[r.role], "SELECT set_config('pizza.member', 'demo', false)")
		}
		t.Run(r.name, func(t *testing.T) {
			_, err := conns[r.role].Exec(t.Context(), r.sql)
			if code := sqlstate(t, err); code != r.code {
				t.Errorf("SQLSTATE %q, want %q", code, r.code)
			}
		})
	}
}

// Rows reference only existing rows.
func TestForeignKeys(t *testing.T) {
	t.Parallel()
	const unknown = "23503" // foreign_key_violation
	refuse(t, withOrder(t), []refusal{
		{"pizza_of_unknown_type", "menu_svc", "INSERT INTO pizza VALUES ('x', 'nothing', 'S', 1)", unknown},
		{"pizza_moved_to_unknown_type", "menu_svc", "UPDATE pizza SET pizza_type_id = 'nothing' WHERE pizza_id = 'bbq_ckn_s'", unknown},
		{"order_at_unknown_branch", "order_svc", "INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES ('2', 'demo', 'nowhere', 'd', 't')", unknown},
		{"line_of_unknown_order", "", "INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('9', 'bbq_ckn_s', 1)", unknown},
		{"line_of_unknown_pizza", "order_svc", "INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('1', 'nothing', 1)", unknown},
	})
}

// Deletes do not cascade: a referenced row stays, and an order can be deleted
// only after its lines.
func TestNoCascade(t *testing.T) {
	t.Parallel()
	const used = "23503"
	d := withOrder(t)
	refuse(t, d, []refusal{
		{"branch_with_orders", "", "DELETE FROM branch WHERE bran_id = 'BRANCH001'", used},
		{"order_with_lines", "", "DELETE FROM orders WHERE order_id = '1'", used},
		{"pizza_that_was_ordered", "menu_svc", "DELETE FROM pizza WHERE pizza_id = 'bbq_ckn_s'", used},
		{"type_with_pizzas", "menu_svc", "DELETE FROM pizza_types WHERE pizza_type_id = 'bbq_ckn'", used},
		{"id_of_a_pizza_that_was_ordered", "menu_svc", "UPDATE pizza SET pizza_id = 'other' WHERE pizza_id = 'bbq_ckn_s'", used},
	})
	admin := connect(t, d.URL(""))
	for _, step := range []struct{ sql, left string }{
		{"DELETE FROM order_detail WHERE order_id = '1'", "SELECT count(*) = 1 FROM orders"},
		{"DELETE FROM orders WHERE order_id = '1'", "SELECT count(*) = 1 FROM branch WHERE bran_id = 'BRANCH001'"},
		{"DELETE FROM branch WHERE bran_id = 'BRANCH001'", "SELECT count(*) = 96 FROM pizza"},
		{"DELETE FROM pizza WHERE pizza_type_id = 'bbq_ckn'", "SELECT count(*) = 32 FROM pizza_types"},
		{"DELETE FROM pizza_types WHERE pizza_type_id = 'bbq_ckn'", "SELECT count(*) = 93 FROM pizza"},
	} {
		exec(t, admin, step.sql)
		if !value[bool](t, admin, step.left) {
			t.Errorf("after %s not %s", step.sql, step.left)
		}
	}
}

// Keys are unique, and required values are present.
func TestIntegrity(t *testing.T) {
	t.Parallel()
	const (
		taken   = "23505" // unique_violation
		missing = "23502" // not_null_violation
		long    = "22001" // string_data_right_truncation
	)
	refuse(t, withOrder(t), []refusal{
		{"member_id_taken", "login_svc", "INSERT INTO member VALUES ('demo', 'x', 'Other')", taken},
		{"member_without_password", "login_svc", "INSERT INTO member (member_id, member_nm) VALUES ('a', 'A')", missing},
		{"member_without_name", "login_svc", "INSERT INTO member (member_id, member_pwd) VALUES ('a', 'x')", missing},
		{"member_id_too_long", "login_svc", "INSERT INTO member VALUES (repeat('a', 101), 'x', 'A')", long},
		{"token_revoked_twice", "login_svc", "INSERT INTO revoked_token (jti, member_id, expires_at) VALUES ('j', 'demo', now()), ('j', 'demo', now())", taken},
		{"pizza_id_taken", "menu_svc", "INSERT INTO pizza VALUES ('bbq_ckn_s', 'bbq_ckn', 'S', 1)", taken},
		{"pizza_without_price", "menu_svc", "INSERT INTO pizza VALUES ('x', 'bbq_ckn', 'S')", missing},
		{"pizza_without_size", "menu_svc", "INSERT INTO pizza VALUES ('x', 'bbq_ckn', NULL, 1)", missing},
		{"type_without_image", "menu_svc", "INSERT INTO pizza_types VALUES ('x', 'X', 'C')", missing},
		{"order_id_taken", "order_svc", "INSERT INTO orders (order_id, member_id, date, time) VALUES ('1', 'demo', 'd', 't')", taken},
		{"order_of_nobody", "", "INSERT INTO orders (order_id, date, time) VALUES ('2', 'd', 't')", missing},
		{"order_without_date", "order_svc", "INSERT INTO orders (order_id, member_id, time) VALUES ('2', 'demo', 't')", missing},
		{"key_of_an_order_used_again", "order_svc", "INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body) VALUES ('demo', 'k', '', '1', 201, '', '', ''), ('demo', 'k', '', '2', 201, '', '', '')", taken},
		{"line_without_quantity", "order_svc", "INSERT INTO order_detail (order_id, pizza_id) VALUES ('1', 'bbq_ckn_s')", missing},
	})
}

// TestEventTables: the migrations create the tables, functions and policies
// that the transport is tested with.
func TestEventTables(t *testing.T) {
	t.Parallel()
	tested := connect(t, pgtest.Empty(t))
	exec(t, tested, eventspg.Schema)
	migrated := connect(t, migrationstest.New(t).URL(""))
	for what, query := range map[string]string{
		"columns": `SELECT format('%s.%s %s %s %s %s', table_name, column_name, data_type, is_nullable, column_default, is_identity)
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name ~ '^event' ORDER BY 1`,
		"constraints": `SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE conrelid::regclass::text ~ '^event' ORDER BY 1`,
		"indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename ~ '^event' ORDER BY 1",
		"functions": `SELECT pg_get_functiondef(oid) FROM pg_proc
			WHERE pronamespace = 'public'::regnamespace AND proname ~ 'events$|^allow_consumer$' ORDER BY 1`,
		"policies": `SELECT format('%s %s %s %s', tablename, policyname, cmd, qual) FROM pg_policies
			WHERE schemaname = 'public' AND tablename ~ '^event' ORDER BY 1`,
		"row security": "SELECT relname || relrowsecurity FROM pg_class WHERE relname ~ '^event' AND relkind = 'r' ORDER BY 1",
	} {
		want := values[string](t, tested, query)
		if len(want) == 0 {
			t.Errorf("%s: there are none", what)
		}
		if diff := cmp.Diff(want, values[string](t, migrated, query)); diff != "" {
			t.Errorf("%s: the schema of package events/postgres (-) and the migrations (+) differ:\n%s", what, diff)
		}
	}
}
