package migrations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
)

// withRows returns the taken-over database with rows of kim and lee: the orders
// 1 and 2, the lines 1 and 41 of the first and 17 of the second, and one stored
// response each. Line 43 has no order and belongs to nobody.
func withRows(t *testing.T) (*migrationstest.Database, migrationstest.OldSystem) {
	t.Helper()
	d, old := takenOver(t)
	admin := connect(t, d.URL(""))
	exec(t, admin, `
		INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body, created_at)
		VALUES ('kim', 'k', '', '1', 201, '', '', '', now() - interval '2 days'),
		       ('lee', 'l', '', '2', 201, '', '', '', now() - interval '2 days')`)
	exec(t, admin, "INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES (NULL, NULL, 1)")
	return d, old
}

// A query without a WHERE returns only the member's own rows, and none without
// a member. Other roles are unaffected.
func TestRowsRead(t *testing.T) {
	t.Parallel()
	d, old := withRows(t)
	all := map[string][]string{"orders": {"1", "2"}, "order_detail": {"1", "17", "41", "43"}, "idempotency_key": {"k", "l"}}
	of := map[string]map[string][]string{
		"kim": {"orders": {"1"}, "order_detail": {"1", "41"}, "idempotency_key": {"k"}},
		"lee": {"orders": {"2"}, "order_detail": {"17"}, "idempotency_key": {"l"}},
	}
	column := map[string]string{"orders": "order_id", "order_detail": "order_detail_id::text", "idempotency_key": "key"}
	owner := connect(t, d.URL("migrator"))
	exec(t, owner, "SET ROLE pizza_owner")
	for _, c := range []struct {
		name   string
		conn   *pgx.Conn
		want   map[string][]string
		tables []string
	}{
		{"order_svc_as_kim", connectAs(t, d, "kim"), of["kim"], []string{"orders", "order_detail", "idempotency_key"}},
		{"order_svc_as_lee", connectAs(t, d, "lee"), of["lee"], []string{"orders", "order_detail", "idempotency_key"}},
		{"order_svc_as_a_member_without_rows", connectAs(t, d, "mia"), nil, []string{"orders", "order_detail", "idempotency_key"}},
		{"order_svc_as_nobody", connectAs(t, d, ""), nil, []string{"orders", "order_detail", "idempotency_key"}},
		{"order_svc_never_told", connect(t, d.URL("order_svc")), nil, []string{"orders", "order_detail", "idempotency_key"}},
		{"old_system", connect(t, old.Monolith), all, []string{"orders", "order_detail"}},
		{"owner", owner, all, []string{"orders", "order_detail", "idempotency_key"}},
	} {
		for _, table := range c.tables {
			t.Run(c.name+"/"+table, func(t *testing.T) {
				got := values[string](t, c.conn, fmt.Sprintf("SELECT %s FROM %s", column[table], table))
				slices.Sort(got)
				if want := c.want[table]; !slices.Equal(got, want) {
					t.Errorf("sees %v, want %v", got, want)
				}
			})
		}
	}
}

// Every role with rights on these tables tries every verb on a row of kim, its
// member, and on one of lee.
func TestRowsWrite(t *testing.T) {
	t.Parallel()
	d, old := withRows(t)
	const answer = "INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body) "
	statements := []struct{ name, sql string }{
		{"insert_order_of_kim", "INSERT INTO orders (order_id, member_id, date, time) VALUES ('8', 'kim', 'd', 't')"},
		{"insert_order_of_lee", "INSERT INTO orders (order_id, member_id, date, time) VALUES ('8', 'lee', 'd', 't')"},
		{"insert_order_of_lee_and_kim", "INSERT INTO orders (order_id, member_id, date, time) VALUES ('7', 'kim', 'd', 't'), ('8', 'lee', 'd', 't')"},
		{"insert_line_of_kim", "INSERT INTO order_detail (order_detail_id, order_id, quantity) VALUES (200, '1', 1)"},
		{"insert_line_of_lee", "INSERT INTO order_detail (order_detail_id, order_id, quantity) VALUES (200, '2', 1)"},
		{"insert_line_of_nobody", "INSERT INTO order_detail (order_detail_id, order_id, quantity) VALUES (200, NULL, 1)"},
		{"insert_answer_of_kim", answer + "VALUES ('kim', 'n', '', '8', 201, '', '', '')"},
		{"insert_answer_of_lee", answer + "VALUES ('lee', 'n', '', '8', 201, '', '', '')"},
		{"insert_answer_over_lees", answer + "VALUES ('lee', 'l', '', '8', 201, '', '', '') ON CONFLICT DO NOTHING"},
		{"update_order_of_lee", "UPDATE orders SET date = 'x' WHERE member_id = 'lee'"},
		{"update_line_of_lee", "UPDATE order_detail SET quantity = 2 WHERE order_id = '2'"},
		{"delete_line_of_lee", "DELETE FROM order_detail WHERE order_id = '2'"},
		{"delete_answer_of_lee", "DELETE FROM idempotency_key WHERE member_id = 'lee'"},
		{"switch_it_off", "SET LOCAL row_security = off; SELECT 1 FROM orders"},
		{"drop_the_policy", "DROP POLICY own_rows ON orders"},
		{"disable_it", "ALTER TABLE orders DISABLE ROW LEVEL SECURITY"},
	}
	const orderRole = `
		insert_order_of_kim
		insert_order_of_lee          42501 row
		insert_order_of_lee_and_kim  42501 row
		insert_line_of_kim
		insert_line_of_lee           42501 row
		insert_line_of_nobody        42501 row
		insert_answer_of_kim
		insert_answer_of_lee         42501 row
		insert_answer_over_lees      42501 row
		update_order_of_lee          42501
		update_line_of_lee           42501
		delete_line_of_lee           42501
		delete_answer_of_lee         42501
		switch_it_off                42501
		drop_the_policy              42501
		disable_it                   42501`
	for _, c := range []struct {
		role string
		conn *pgx.Conn
		want string // SQLSTATE by statement
	}{
		{"order_svc", connectAs(t, d, "kim"), orderRole},
		{"order_svc_as_nobody", connectAs(t, d, ""), strings.NewReplacer(
			"insert_order_of_kim", "insert_order_of_kim 42501 row",
			"insert_line_of_kim", "insert_line_of_kim 42501 row",
			"insert_answer_of_kim", "insert_answer_of_kim 42501 row").Replace(orderRole)},
		{"old_system", connect(t, old.Monolith), `
			insert_order_of_kim
			insert_order_of_lee
			insert_order_of_lee_and_kim
			insert_line_of_kim
			insert_line_of_lee
			insert_line_of_nobody
			insert_answer_of_kim     42501
			insert_answer_of_lee     42501
			insert_answer_over_lees  42501
			update_order_of_lee
			update_line_of_lee
			delete_line_of_lee
			delete_answer_of_lee     42501
			switch_it_off            42501
			drop_the_policy          42501
			disable_it               42501`},
		{"login_svc", connect(t, d.URL("login_svc")), ""},
		{"menu_svc", connect(t, d.URL("menu_svc")), ""},
		{"migrator", connect(t, d.URL("migrator")), ""},
	} {
		want := map[string]string{}
		for line := range strings.Lines(c.want) {
			if name, code, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" {
				want[name] = strings.TrimSpace(code)
			}
		}
		for _, s := range statements {
			t.Run(c.role+"/"+s.name, func(t *testing.T) {
				code, known := want[s.name]
				if !known {
					code = refused // a role without any right
				}
				if got := attempt(t, c.conn, s.sql); got != code {
					t.Errorf("SQLSTATE %q, want %q", got, code)
				}
			})
		}
	}
}

// Stored responses are deleted across members by a function that returns none
// and deletes only old ones.
func TestRowsForgotten(t *testing.T) {
	t.Parallel()
	d, _ := withRows(t)
	admin, conn := connect(t, d.URL("")), connect(t, d.URL("order_svc"))
	exec(t, admin, "UPDATE idempotency_key SET created_at = now() WHERE member_id = 'lee'")
	if n := value[int64](t, conn, "SELECT forget_answers('1 day', 10)"); n != 1 {
		t.Errorf("%d forgotten", n)
	}
	if left := values[string](t, admin, "SELECT member_id FROM idempotency_key"); !cmp.Equal(left, []string{"lee"}) {
		t.Errorf("left are those of %v", left)
	}
}

// Foreign keys still see all rows: a pizza stays on the menu while any member's
// line references it.
func TestRowsBehindForeignKeys(t *testing.T) {
	t.Parallel()
	d, _ := withRows(t)
	if code := attempt(t, connect(t, d.URL("menu_svc")), "DELETE FROM pizza WHERE pizza_id = 'hawaiian_m'"); code != "23503" {
		t.Errorf("SQLSTATE %q", code)
	}
}
