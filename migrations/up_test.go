package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
)

// schema describes everything in the schema public, one line per object,
// without the rights that the old system's role has kept.
func schema(t *testing.T, dsn string) []string {
	t.Helper()
	return values[string](t, connect(t, dsn), `
		WITH relation AS (
			SELECT oid, relname, relkind, relowner, relacl, relrowsecurity FROM pg_class WHERE relnamespace = 'public'::regnamespace
		)
		SELECT line FROM (
			SELECT format('%s %s owner %s rls %s', relname, relkind, relowner::regrole, relrowsecurity) FROM relation
			UNION ALL
			SELECT format('%s.%s %s %s null=%s identity=%s default %s', relname, attname,
				rank() OVER (PARTITION BY relname ORDER BY attnum), format_type(atttypid, atttypmod),
				NOT attnotnull, attidentity, pg_get_expr(adbin, adrelid))
			FROM relation JOIN pg_attribute a ON attrelid = oid AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'S')
			LEFT JOIN pg_attrdef d ON d.adrelid = relation.oid AND d.adnum = attnum
			UNION ALL
			SELECT format('%s constraint %s %s', conrelid::regclass, conname, pg_get_constraintdef(c.oid))
			FROM pg_constraint c WHERE connamespace = 'public'::regnamespace
			UNION ALL
			SELECT format('%s valid=%s', pg_get_indexdef(indexrelid), indisvalid) FROM pg_index JOIN relation ON oid = indexrelid
			UNION ALL
			SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN relation ON relation.oid = tgrelid WHERE NOT tgisinternal
			UNION ALL
			SELECT format('owner %s acl %s %s', proowner::regrole, proacl, pg_get_functiondef(oid))
			FROM pg_proc WHERE pronamespace = 'public'::regnamespace
			UNION ALL
			SELECT format('%s.%s %s %s to %s using %s check %s', tablename, policyname, permissive, cmd, roles, qual, with_check)
			FROM pg_policies WHERE schemaname = 'public'
			UNION ALL
			SELECT format('%s grant %s to %s', relname, privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
			FROM relation, aclexplode(relacl) WHERE grantee <> coalesce(to_regrole('monolith')::oid, 0)
			UNION ALL
			SELECT format('schema grant %s to %s', privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
			FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public' AND grantee <> coalesce(to_regrole('monolith')::oid, 0)
		) AS lines (line) ORDER BY line`)
}

// rows returns the rows of the old system's tables, with their old columns.
func rows(t *testing.T, dsn string) []string {
	t.Helper()
	conn := connect(t, dsn)
	var all []string
	for _, query := range []string{
		"SELECT format('member %s %s %s', member_id, member_pwd, member_nm) FROM member ORDER BY 1",
		"SELECT format('type %s %s %s %s', pizza_type_id, pizza_nm, pizza_categ, pizza_img_url) FROM pizza_types ORDER BY 1",
		"SELECT format('pizza %s %L %s %s', pizza_id, pizza_type_id, size, price) FROM pizza ORDER BY 1",
		"SELECT format('branch %s %s', bran_id, bran_nm) FROM branch ORDER BY 1",
		"SELECT format('order %s %s %L %s %s', order_id, member_id, bran_id, date, time) FROM orders ORDER BY 1",
		"SELECT format('line %s %s %L %s', order_detail_id, order_id, pizza_id, quantity) FROM order_detail ORDER BY 1",
	} {
		all = append(all, values[string](t, conn, query)...)
	}
	return all
}

// storage returns the data files of the tables; a rewritten table gets a new
// one.
func storage(t *testing.T, dsn string) []string {
	t.Helper()
	return values[string](t, connect(t, dsn), `
		SELECT format('%s %s', relname, pg_relation_filenode(oid)) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relname = ANY($1) ORDER BY 1`, oldTables())
}

func TestUp(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	rowsBefore, storageBefore := rows(t, old.DSN), storage(t, old.DSN)
	if len(storageBefore) != 6 || len(rowsBefore) < 15 {
		t.Fatalf("the old system's database is not as expected: %v %v", storageBefore, rowsBefore)
	}
	migrate(t, old.DSN)
	fresh := pgtest.Empty(t)
	migrate(t, fresh)

	t.Run("same_schema_from_nothing_and_from_the_old_system", func(t *testing.T) {
		if diff := cmp.Diff(schema(t, fresh), schema(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("no_row_lost_or_changed", func(t *testing.T) {
		if diff := cmp.Diff(rowsBefore, rows(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("no_table_rewritten", func(t *testing.T) {
		if diff := cmp.Diff(storageBefore, storage(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("everything_belongs_to_pizza_owner", func(t *testing.T) {
		foreign := values[string](t, connect(t, old.DSN), `
			SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner <> 'pizza_owner'::regrole`)
		if len(foreign) > 0 {
			t.Errorf("others own %v", foreign)
		}
	})
	t.Run("again_changes_nothing", func(t *testing.T) {
		before := schema(t, old.DSN)
		steps := 0
		if err := migrations.Up(t.Context(), as(t, old.DSN, "migrator"), func(migrations.Step) { steps++ }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, schema(t, old.DSN)); diff != "" || steps != 0 {
			t.Errorf("%d steps, and %s", steps, diff)
		}
	})
	t.Run("a_superuser_gives_all_to_the_owner_too", func(t *testing.T) {
		dsn := pgtest.Empty(t)
		if err := migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()); err != nil {
			t.Fatal(err)
		}
		if err := migrations.Up(t.Context(), dsn); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(schema(t, fresh), schema(t, dsn)); diff != "" {
			t.Error(diff)
		}
	})
}

// The old system reads and writes its tables as before.
func TestOldSystemKeepsWorking(t *testing.T) {
	t.Parallel()
	_, old := takenOver(t)
	monolith := connect(t, old.Monolith)
	for _, sql := range []string{
		"INSERT INTO member VALUES ('new', 'pw', 'New')",
		"UPDATE member SET member_pwd = 'other' WHERE member_id = 'kim'",
		"INSERT INTO pizza_types VALUES ('t', 'T', 'C', 'images/t.png')",
		"INSERT INTO pizza VALUES ('t_s', 't', 'S', 9.99)",
		"UPDATE pizza SET price = 10.5 WHERE pizza_id = 't_s'",
		"INSERT INTO branch VALUES ('B', 'B')",
		"INSERT INTO orders VALUES ('3', 'new', 'B', '2025-08-03', '12:00:00')",
		"INSERT INTO order_detail VALUES ((SELECT max(order_detail_id) + 1 FROM order_detail), '3', 't_s', 1)",
		"UPDATE order_detail SET quantity = 2 WHERE order_id = '3'",
		"SELECT * FROM orders JOIN order_detail USING (order_id) JOIN pizza USING (pizza_id) JOIN branch USING (bran_id)",
		"DELETE FROM order_detail WHERE order_id = '3'",
		"DELETE FROM orders WHERE order_id = '3'",
		"DELETE FROM pizza WHERE pizza_id = 't_s'",
		"DELETE FROM pizza_types WHERE pizza_type_id = 't'",
		"DELETE FROM branch WHERE bran_id = 'B'",
		"DELETE FROM member WHERE member_id = 'new'",
		"CREATE TABLE django_session (k text)", // the migrations ignore its own tables
		"CREATE TEMPORARY TABLE x (k text)",
	} {
		exec(t, monolith, sql)
	}
	// Those tables do not disturb later runs either.
	if err := migrations.Up(t.Context(), as(t, old.DSN, "migrator")); err != nil {
		t.Error(err)
	}
}

// Takeover and migration need no downtime of the old system.
func TestUpWhileTheOldSystemWrites(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	stop := make(chan struct{})
	written := make(chan int)
	for w := range 2 {
		conn := connect(t, old.Monolith)
		go func() {
			n := 0
			defer func() { written <- n }()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := placeAsMonolith(t.Context(), conn, fmt.Sprintf("w%d-%d", w, n), 2); err != nil {
					if errors.As(err, new(duplicateNumber)) {
						continue // the old system's own race, until numbers come from the sequence
					}
					t.Error(err)
					return
				}
				n++
			}
		}()
	}
	_, err := migrationstest.On(t.Context(), old.DSN)
	close(stop)
	want := 2 + <-written + <-written
	if err != nil {
		t.Fatal(err)
	}
	admin := connect(t, old.DSN)
	if got := value[int](t, admin, "SELECT count(*) FROM orders"); got != want {
		t.Errorf("%d orders, want %d", got, want)
	}
	if got := value[int](t, admin, "SELECT count(*) FROM order_detail"); got != 3+2*(want-2) {
		t.Errorf("%d lines, want %d", got, 3+2*(want-2))
	}
}

func TestUpAtTheSameTime(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	if err := migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	steps := map[string]int{}
	for range 4 {
		wg.Go(func() {
			err := migrations.Up(t.Context(), as(t, dsn, "migrator"), func(s migrations.Step) {
				mu.Lock()
				defer mu.Unlock()
				steps[fmt.Sprint(s.Owner, s.Version)]++
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := migrations.Status(t.Context(), as(t, dsn, "migrator"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if n := steps[fmt.Sprint(m.Owner, m.Version)]; n != 1 || m.AppliedAt == nil {
			t.Errorf("%s %d was applied %d times", m.Owner, m.Version, n)
		}
	}
}

// Up waits for the owner's lock until it gets it or its context ends.
func TestUpWaitsForTheLock(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	if err := migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	holder := connect(t, dsn)
	exec(t, holder, "SELECT pg_advisory_lock(x'70697a7a6101'::bigint)")
	done := make(chan error, 1)
	up := func(ctx context.Context) { done <- migrations.Up(ctx, as(t, dsn, "migrator")) }
	// asked returns when Up has asked for the lock.
	asked := func() {
		for !value[bool](t, holder, `
			SELECT EXISTS (SELECT FROM pg_stat_activity
			               WHERE datname = current_database() AND query LIKE 'SELECT pg_try_advisory_lock%')`) {
			select {
			case err := <-done:
				t.Fatalf("did not wait: %v", err)
			default:
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	go up(ctx)
	asked()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Up: %v", err)
	}
	go up(t.Context())
	asked()
	exec(t, holder, "SELECT pg_advisory_unlock_all()")
	if err := <-done; err != nil {
		t.Errorf("Up: %v", err)
	}
}

func TestUpWithoutRoles(t *testing.T) {
	t.Parallel()
	t.Run("tables_of_somebody_else", func(t *testing.T) {
		t.Parallel()
		// The roles are on the server, but have not been applied to this database.
		migrationstest.New(t)
		old := migrationstest.NewOldSystem(t)
		err := migrations.Up(t.Context(), as(t, old.DSN, "migrator"))
		if err == nil || !strings.Contains(err.Error(), "has `migrate roles` been run") {
			t.Errorf("Up: %v", err)
		}
	})
	t.Run("wrong_password", func(t *testing.T) {
		t.Parallel()
		dsn := strings.Replace(migrationstest.New(t).URL("migrator"), "only-for-tests", "s3cret", 1)
		err := migrations.Up(t.Context(), dsn)
		if err == nil || !strings.Contains(err.Error(), "has `migrate roles` been run") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Up: %v", err)
		}
	})
	t.Run("no_address", func(t *testing.T) {
		t.Parallel()
		err := migrations.Up(t.Context(), "postgres://u:s3cret@host:port/db")
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Up: %v", err)
		}
	})
}

// The previous build, redeployed in an emergency, must not revoke grants on
// tables that it does not know.
func TestUpOfAnOlderBuildLeavesTheGrants(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	admin := connect(t, d.URL(""))
	exec(t, admin, "INSERT INTO schema_version_order (version_id, is_applied) VALUES (99, true)")
	exec(t, admin, "GRANT UPDATE ON orders TO order_svc")
	if err := migrations.Up(t.Context(), d.URL("migrator")); err != nil {
		t.Fatal(err)
	}
	const may = "SELECT has_table_privilege('order_svc', 'orders', 'UPDATE')"
	if !value[bool](t, admin, may) {
		t.Error("a newer build's grant is gone")
	}
	exec(t, admin, "DELETE FROM schema_version_order WHERE version_id = 99")
	if err := migrations.Up(t.Context(), d.URL("migrator")); err != nil {
		t.Fatal(err)
	}
	if value[bool](t, admin, may) {
		t.Error("a grant that has no line in grants.sql is still there")
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	down := func(t *testing.T, dsn string) (steps []string, err error) {
		t.Helper()
		for err == nil {
			err = migrations.Down(t.Context(), as(t, dsn, "migrator"), "", func(s migrations.Step) {
				steps = append(steps, fmt.Sprintf("%s %d", s.Owner, s.Version))
			})
		}
		return steps, err
	}
	files, err := filepath.Glob("sql/order/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	newest, err := strconv.Atoi(filepath.Base(slices.Max(files))[:5]) // versions can have gaps
	if err != nil {
		t.Fatal(err)
	}
	t.Run("to_nothing_and_up", func(t *testing.T) {
		t.Parallel()
		dsn := pgtest.Empty(t)
		migrate(t, dsn)
		before := schema(t, dsn)
		steps, err := down(t, dsn)
		if !errors.Is(err, migrations.ErrNothingToUndo) {
			t.Fatalf("after %v: %v", steps, err)
		}
		if steps[0] != fmt.Sprintf("order %d", newest) || steps[len(steps)-1] != "events 1" {
			t.Errorf("rolled back in the order %v", steps)
		}
		left := values[string](t, connect(t, dsn), `
			SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
			UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`)
		if diff := cmp.Diff([]string{"schema_version_events", "schema_version_login", "schema_version_menu", "schema_version_order"}, left); diff != "" {
			t.Error(diff)
		}
		migrate(t, dsn)
		if diff := cmp.Diff(before, schema(t, dsn)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("old_rows_are_never_dropped", func(t *testing.T) {
		t.Parallel()
		old := migrationstest.NewOldSystem(t)
		before := rows(t, old.DSN)
		migrate(t, old.DSN)
		after := schema(t, old.DSN)
		steps, err := down(t, old.DSN)
		if len(steps) != len(files)-1 || err == nil || !strings.Contains(err.Error(), "no step back drops orders") {
			t.Errorf("after %v: %v", steps, err)
		}
		for _, owner := range []migrations.Owner{migrations.Menu, migrations.Login} {
			for err = nil; err == nil; {
				err = migrations.Down(t.Context(), as(t, old.DSN, "migrator"), owner)
			}
			if !strings.Contains(err.Error(), "no step back drops") {
				t.Errorf("%s: %v", owner, err)
			}
		}
		if diff := cmp.Diff(before, rows(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
		migrate(t, old.DSN)
		if diff := cmp.Diff(before, rows(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(after, schema(t, old.DSN)); diff != "" {
			t.Error(diff)
		}
	})
}

// A failed migration leaves nothing behind, and the next Up resumes.
func TestUpThatFails(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	if err := migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, dsn)
	exec(t, admin, "CREATE TABLE catalog_version (in_the_way int)")
	var steps []string
	err := migrations.Up(t.Context(), as(t, dsn, "migrator"), func(s migrations.Step) { steps = append(steps, s.Name) })
	if err == nil || !strings.Contains(err.Error(), "sql/menu/00004_catalog_version.sql") {
		t.Errorf("the error does not name the file: %v", err)
	}
	if steps[len(steps)-1] != "index_pizza_by_type_and_size" {
		t.Errorf("reported %v", steps)
	}
	exec(t, admin, "DROP TABLE catalog_version")
	migrate(t, dsn)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Empty(t)
	if err := migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	pending := func() (n, all int) {
		list, err := migrations.Status(t.Context(), as(t, dsn, "migrator"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if m.AppliedAt == nil {
				n++
			}
		}
		return n, len(list)
	}
	if n, all := pending(); n != all || all < 16 {
		t.Errorf("%d of %d pending before", n, all)
	}
	if n := value[int](t, connect(t, dsn), "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"); n != 0 {
		t.Errorf("looking has made %d things", n)
	}
	if err := migrations.Up(t.Context(), as(t, dsn, "migrator")); err != nil {
		t.Fatal(err)
	}
	if n, _ := pending(); n != 0 {
		t.Errorf("%d pending after", n)
	}
}

// duplicateNumber is the old system's error when two of its requests compute
// the same MAX + 1.
type duplicateNumber struct{ error }

// placeAsMonolith places an order as the old system does: in a transaction,
// numbering each line MAX + 1.
func placeAsMonolith(ctx context.Context, conn *pgx.Conn, order string, lines int) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO orders (order_id, member_id, bran_id, date, time)
			VALUES ($1, 'kim', 'BRANCH001', '2025-08-01', '12:00:00')`, order)
		for i := 0; i < lines && err == nil; i++ {
			var next int
			if err = tx.QueryRow(ctx, "SELECT coalesce(max(order_detail_id), 0) + 1 FROM order_detail").Scan(&next); err != nil {
				break
			}
			_, err = tx.Exec(ctx, `
				INSERT INTO order_detail (order_detail_id, order_id, pizza_id, quantity)
				VALUES ($1, $2, 'bbq_ckn_s', $3)`, next, order, i+1)
		}
		if isDuplicate(err) {
			return duplicateNumber{err}
		}
		return err
	})
}
