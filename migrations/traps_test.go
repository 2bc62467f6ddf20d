package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

func isDuplicate(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

// Trap: ids of 51 to 100 characters could register, but never order.
func TestLongMemberIDCanOrder(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	id := strings.Repeat("김", 100)
	exec(t, connect(t, d.URL("login_svc")), "INSERT INTO member VALUES ($1, 'x', 'Long')", id)
	exec(t, connectAs(t, d, id),
		"INSERT INTO orders (order_id, member_id, date, time) VALUES ('1', $1, '2026-01-01', '12:00:00')", id)
}

// Trap: order_detail_id has no sequence, and the old system uses MAX + 1.
func TestLineNumbers(t *testing.T) {
	t.Parallel()
	t.Run("start_past_max", func(t *testing.T) {
		t.Parallel()
		d, _ := takenOver(t)
		got := value[int](t, connectAs(t, d, "kim"),
			"INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('1', 'bbq_ckn_s', 1) RETURNING order_detail_id")
		if got != 42 {
			t.Errorf("the number after 41 is %d", got)
		}
	})
	t.Run("start_at_1_when_empty", func(t *testing.T) {
		t.Parallel()
		conn := connectAs(t, migrationstest.New(t), "kim")
		exec(t, conn, "INSERT INTO orders (order_id, member_id, date, time) VALUES ('1', 'kim', '2026-01-01', '12:00:00')")
		got := value[int](t, conn, "INSERT INTO order_detail (order_id, quantity) VALUES ('1', 1) RETURNING order_detail_id")
		if got != 1 {
			t.Errorf("the first number is %d", got)
		}
	})
	t.Run("old_system_writes_a_number_that_is_taken", func(t *testing.T) {
		t.Parallel()
		d, old := takenOver(t)
		const ours = "INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('1', 'bbq_ckn_s', 7) RETURNING order_detail_id"
		monolith := connect(t, old.Monolith)
		last := value[int](t, monolith, "SELECT max(order_detail_id) FROM order_detail")
		taken := value[int](t, connectAs(t, d, "kim"), ours)
		exec(t, monolith, "INSERT INTO order_detail VALUES ($1, '2', 'hawaiian_m', 8)", last+1)
		if taken != last+1 {
			t.Fatalf("%d is not the number that the old system takes next", taken)
		}
		got := values[int](t, monolith, "SELECT quantity FROM order_detail WHERE order_detail_id > $1 ORDER BY order_detail_id", last)
		if diff := cmp.Diff([]int{7, 8}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("both_write_at_once", func(t *testing.T) {
		t.Parallel()
		d, old := takenOver(t)
		const writers, orders, lines = 3, 60, 3
		var wg sync.WaitGroup
		for w := range writers {
			monolith, ours := connect(t, old.Monolith), connectAs(t, d, "lee")
			write := func(name string, place func(context.Context, *pgx.Conn, string, int) error, conn *pgx.Conn) {
				for i := range orders {
					if err := place(t.Context(), conn, fmt.Sprintf("%s-%d-%d", name, w, i), lines); err != nil {
						t.Errorf("%s: %v", name, err)
						return
					}
				}
			}
			wg.Go(func() { write("old", placeAsMonolith, monolith) })
			wg.Go(func() { write("new", placeAsService, ours) })
		}
		wg.Wait()
		admin := connect(t, d.URL(""))
		complete := value[int](t, admin, `SELECT count(*) FROM (
			SELECT order_id FROM order_detail GROUP BY order_id HAVING array_agg(quantity ORDER BY quantity) = '{1,2,3}') AS o`)
		if want := 2 * writers * orders; complete != want {
			t.Errorf("%d orders have all their lines, want %d", complete, want)
		}
	})
}

// placeAsService places an order the way the order service does: one statement.
func placeAsService(ctx context.Context, conn *pgx.Conn, order string, lines int) error {
	_, err := conn.Exec(ctx, `
		WITH placed AS (
			INSERT INTO orders (order_id, member_id, bran_id, date, time, total_price)
			VALUES ($1, 'lee', 'BRANCH002', '2026-01-01', '12:00:00', 10) RETURNING order_id)
		INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price)
		SELECT order_id, 'hawaiian_m', q, 13.25 FROM placed, generate_series(1, $2::int) q`, order, lines)
	return err
}

// Trap: lookup columns have no indexes.
func TestIndexes(t *testing.T) {
	t.Parallel()
	want := []string{
		"order_detail_order_id_idx ON public.order_detail USING btree (order_id) true",
		"order_detail_pizza_id_idx ON public.order_detail USING btree (pizza_id) true",
		"orders_member_id_created_at_idx ON public.orders USING btree (member_id, created_at DESC NULLS LAST, date DESC, \"time\" DESC, order_id DESC) true",
		"pizza_pizza_type_id_size_idx ON public.pizza USING btree (pizza_type_id, size) true",
		"pizza_types_pizza_nm_idx ON public.pizza_types USING btree (pizza_nm) true",
	}
	indexes := func(t *testing.T, dsn string) []string {
		return values[string](t, connect(t, dsn), `
			SELECT substr(pg_get_indexdef(indexrelid), length('CREATE INDEX ') + 1) || ' ' || indisvalid
			FROM pg_index WHERE indrelid::regclass::text = ANY($1) AND NOT indisprimary ORDER BY 1`, oldTables())
	}
	t.Run("are_there", func(t *testing.T) {
		t.Parallel()
		if diff := cmp.Diff(want, indexes(t, migrationstest.New(t).URL(""))); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what_an_aborted_run_left_is_rebuilt", func(t *testing.T) {
		t.Parallel()
		old := migrationstest.NewOldSystem(t)
		// Two types have the same name: the unique index stays, invalid.
		_, err := connect(t, old.Monolith).Exec(t.Context(),
			"CREATE UNIQUE INDEX CONCURRENTLY pizza_types_pizza_nm_idx ON pizza_types (pizza_nm)")
		if sqlstate(t, err) != "23505" {
			t.Fatal(err)
		}
		if left := indexes(t, old.DSN); len(left) != 1 || !strings.HasSuffix(left[0], " false") {
			t.Fatalf("no invalid index is left behind: %v", left)
		}
		migrate(t, old.DSN)
		if diff := cmp.Diff(want, indexes(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
	})
}

// Traps: prices are floats, and order lines have none.
func TestPricesOfOrders(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	service := connectAs(t, d, "kim")
	t.Run("old_rows_have_none", func(t *testing.T) {
		if n := value[int](t, connect(t, d.URL("")), "SELECT count(unit_price) + (SELECT count(total_price) FROM orders) FROM order_detail"); n != 0 {
			t.Errorf("%d prices", n)
		}
	})
	t.Run("are_exact_and_outlive_the_menu", func(t *testing.T) {
		exec(t, service, "INSERT INTO orders (order_id, member_id, date, time, total_price) VALUES ('p', 'kim', 'd', 't', 0.3)")
		exec(t, service, "INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price) VALUES ('p', 'of_no_type', 3, 0.1)")
		exec(t, connect(t, old.Monolith), "UPDATE pizza SET price = 99 WHERE pizza_id = 'of_no_type'")
		equal := value[bool](t, service, `
			SELECT sum(quantity * unit_price) = min(total_price) AND min(unit_price)::text = '0.10'
			FROM orders JOIN order_detail USING (order_id) WHERE order_id = 'p'`)
		if !equal {
			t.Error("three times 0.1 is not 0.3, or the price moved with the menu")
		}
	})
	t.Run("are_never_negative", func(t *testing.T) {
		for _, sql := range []string{
			"INSERT INTO order_detail (order_id, quantity, unit_price) VALUES ('1', 1, -0.01)",
			"INSERT INTO orders (order_id, member_id, date, time, total_price) VALUES ('n', 'kim', 'd', 't', -1)",
		} {
			_, err := service.Exec(t.Context(), sql)
			if code := sqlstate(t, err); code != "23514" {
				t.Errorf("%s: SQLSTATE %q", sql, code)
			}
		}
	})
	t.Run("of_the_menu_stay_float", func(t *testing.T) {
		got := value[string](t, service, `
			SELECT format_type(atttypid, atttypmod) FROM pg_attribute
			WHERE attrelid = 'pizza'::regclass AND attname = 'price'`)
		if got != "double precision" {
			t.Errorf("pizza.price is %s", got)
		}
	})
}

// Trap: date and time are text in the shop's local time.
func TestCreatedAt(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	if n := value[int](t, connect(t, d.URL("")), "SELECT count(created_at) FROM orders"); n != 0 {
		t.Errorf("%d old orders have a made-up moment", n)
	}
	// The old system does not know the column; its default fills it.
	exec(t, connect(t, old.Monolith), "INSERT INTO orders VALUES ('3', 'kim', 'BRANCH001', '2025-08-01', '12:00:00')")
	if !value[bool](t, connectAs(t, d, "kim"), `
		SELECT created_at BETWEEN now() - interval '1 minute' AND now() AND date = '2025-08-01' AND time = '12:00:00'
		FROM orders WHERE order_id = '3'`) {
		t.Error("an order of the old system has no moment, or another date or time")
	}
	types := values[string](t, connect(t, d.URL("order_svc")), `
		SELECT format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attrelid = 'orders'::regclass AND attname IN ('date', 'time', 'created_at') ORDER BY attname`)
	if diff := cmp.Diff([]string{"timestamp with time zone", "character varying(50)", "character varying(50)"}, types); diff != "" {
		t.Error(diff)
	}
}

// Trap: cleartext passwords. The replacement hash fits the column.
func TestPasswordHashFits(t *testing.T) {
	t.Parallel()
	d := migrationstest.NewSeeded(t)
	length := value[int](t, connect(t, d.URL("login_svc")),
		"SELECT length(member_pwd) FROM member WHERE member_id = $1", migrations.DemoMember)
	if length < 90 || length > 100 {
		t.Errorf("the demo member's hash has %d characters", length)
	}
}

func TestCatalogVersion(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	menu, monolith := connect(t, d.URL("menu_svc")), connect(t, old.Monolith)
	owner := connect(t, d.URL("migrator"))
	exec(t, owner, "SET ROLE pizza_owner")
	version := func() int64 { return value[int64](t, menu, "SELECT version FROM catalog_version") }
	for _, change := range []struct {
		name string
		by   *pgx.Conn
		sql  string
	}{
		{"menu_inserts_type", menu, "INSERT INTO pizza_types VALUES ('t', 'T', 'C', 'i')"},
		{"menu_inserts_pizza", menu, "INSERT INTO pizza VALUES ('t_s', 't', 'S', 1)"},
		{"menu_updates", menu, "UPDATE pizza SET price = 2 WHERE pizza_id = 't_s'"},
		{"menu_deletes", menu, "DELETE FROM pizza WHERE pizza_id = 't_s'"},
		{"old_system_inserts", monolith, "INSERT INTO pizza VALUES ('t_m', 't', 'M', 1)"},
		{"old_system_updates_type", monolith, "UPDATE pizza_types SET pizza_nm = 'U' WHERE pizza_type_id = 't'"},
		{"old_system_deletes", monolith, "DELETE FROM pizza WHERE pizza_id = 't_m'"},
		{"owner_truncates", owner, "TRUNCATE order_detail, pizza"},
	} {
		before := version()
		exec(t, change.by, change.sql)
		if after := version(); after <= before {
			t.Errorf("%s: version %d after %d", change.name, after, before)
		}
	}
	t.Run("counts_with_the_change", func(t *testing.T) {
		before := version()
		tx, err := connect(t, d.URL("menu_svc")).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "INSERT INTO pizza_types VALUES ('r', 'R', 'C', 'i')"); err != nil {
			t.Fatal(err)
		}
		if version() != before {
			t.Error("the version is ahead of the change")
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
		if version() != before {
			t.Error("a change that was rolled back has counted")
		}
	})
	t.Run("is_one_row", func(t *testing.T) {
		for _, row := range []string{"true", "false"} {
			_, err := owner.Exec(t.Context(), "INSERT INTO catalog_version VALUES ("+row+", 1)")
			if code := sqlstate(t, err); code != "23505" && code != "23514" {
				t.Errorf("a second row: SQLSTATE %q", code)
			}
		}
	})
}
