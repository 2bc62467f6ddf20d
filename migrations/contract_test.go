package migrations_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
)

// contractVariants are databases of the old system that the contract ends, by what its
// script replaces.
var contractVariants = map[string][]string{
	"design_document": nil,
	"integer_ids":     migrationstest.IntegerIDs(),
	"bigint_ids":      {"order_id VARCHAR(50)", "order_id BIGINT"},
	"float4_price":    {"price FLOAT", "price FLOAT4 DEFAULT 0"},
	"numeric_price":   {"price FLOAT", "price NUMERIC"},
	"text":            {"VARCHAR(50)", "TEXT", "VARCHAR(100)", "TEXT"},
	"missing_values":  {" NOT NULL", ""},
}

// leave ends a session, and waits until the server has noticed.
func leave(t *testing.T, conn, admin *pgx.Conn) {
	t.Helper()
	pid := conn.PgConn().PID()
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for value[int](t, admin, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid) > 0 {
		time.Sleep(time.Millisecond)
	}
}

// unreadable deletes the order whose date and time no snapshot of types can repeat.
const unreadable = "DELETE FROM order_detail WHERE order_id = '2'; DELETE FROM orders WHERE order_id = '2'"

func TestContract(t *testing.T) {
	t.Parallel()
	for name, replace := range contractVariants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, replace...)
			admin := connect(t, old.DSN)
			exec(t, admin, unreadable)
			exec(t, admin, `INSERT INTO orders VALUES (7, 'kim', NULL, '2024-02-29', '23:59:59.123456')`)
			// Dates are ISO everywhere, whatever the server shows by default.
			exec(t, admin, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = German', current_database()); END $$")
			before, err := migrations.TakeSnapshot(t.Context(), old.Monolith)
			if err != nil {
				t.Fatal(err)
			}
			d := migrate(t, old.DSN)
			d.Contract(t)

			want := strings.Fields(`
				branch.bran_nm:varchar member.member_nm:varchar member.member_pwd:varchar order_detail.quantity:int4
				orders.created_at:timestamptz orders.date:date orders.member_id:varchar orders.time:time pizza.price:numeric
				pizza.size:varchar pizza_types.pizza_categ:varchar pizza_types.pizza_img_url:varchar pizza_types.pizza_nm:varchar`)
			var columns []string
			for i, column := range want {
				name, _, _ := strings.Cut(column, ":")
				columns = append(columns, name)
				if replace != nil && replace[1] == "TEXT" {
					want[i] = strings.ReplaceAll(column, ":varchar", ":text")
				}
			}
			if diff := cmp.Diff(want, values[string](t, admin, `
				SELECT relname || '.' || attname || ':' || typname FROM pg_attribute a
					JOIN pg_class c ON c.oid = attrelid JOIN pg_type y ON y.oid = atttypid
				WHERE relname || '.' || attname = ANY ($1) AND attnotnull AND NOT atthasdef
				ORDER BY relname, attname`, columns)); diff != "" {
				t.Error(diff)
			}
			for what, left := range map[string]string{
				"triggers": `SELECT tgname FROM pg_trigger
					WHERE NOT tgisinternal AND tgrelid::regclass::text IN ('orders', 'order_detail')`,
				"checks": "SELECT conname FROM pg_constraint WHERE conname LIKE '%present'",
				"functions": `SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
					AND (proname ~ '^derive' OR proname = 'number_line')`,
				"rights": `SELECT relname FROM pg_class, aclexplode(relacl) WHERE grantee = 'monolith'::regrole`,
			} {
				if got := values[string](t, admin, left); len(got) > 0 {
					t.Errorf("%s are left: %v", what, got)
				}
			}

			// What was there is there, as text and as types.
			after, err := migrations.TakeSnapshot(t.Context(), d.URL(""))
			if err != nil {
				t.Fatal(err)
			}
			if diff := before.Compare(after); len(diff) > 0 || len(before.Days) != 2 {
				t.Errorf("the snapshot of %d days differs: %+v", len(before.Days), diff)
			}
			prices := values[string](t, admin, "SELECT price::text FROM pizza ORDER BY pizza_id")
			if diff := cmp.Diff([]string{"12.75", "13.25", "0.10"}, prices); diff != "" {
				t.Error(diff)
			}

			monolith := connect(t, old.Monolith)
			for _, sql := range []string{
				"INSERT INTO orders VALUES (8, 'kim', NULL, '2024-02-29', '23:59:59')", "SELECT FROM member", "DELETE FROM pizza",
				"SELECT nextval('order_detail_order_detail_id_seq')",
			} {
				if code := attempt(t, monolith, sql); code != refused {
					t.Errorf("the old system's %s: SQLSTATE %q", sql, code)
				}
			}

			// All commands work, but the one that goes back.
			r, err := migrations.CheckContract(t.Context(), d.URL("migrator"), migrationstest.ContractOptions(t))
			if err != nil || !r.Applied || !r.Go() {
				t.Errorf("another check: %+v, %v", r, err)
			}
			if err := migrations.ApplyContract(t.Context(), d.URL("migrator"), migrationstest.ContractOptions(t)); err == nil ||
				!strings.Contains(err.Error(), "monolith has 1 sessions again, so nothing was changed") {
				t.Errorf("the old system is back: %v", err)
			}
			leave(t, monolith, admin)
			if err := migrations.ApplyContract(t.Context(), d.URL("migrator"), migrationstest.ContractOptions(t)); err != nil {
				t.Error(err)
			}
			for _, owner := range []migrations.Owner{"", migrations.Login} {
				if err := migrations.Down(t.Context(), d.URL("migrator"), owner); !errors.Is(err, migrations.ErrContracted) {
					t.Errorf("down %s: %v", owner, err)
				}
			}
			if err := migrations.ApplyRoles(t.Context(), old.DSN, migrationstest.Passwords()); err != nil {
				t.Error(err)
			}
			if err := migrations.Up(t.Context(), d.URL("migrator")); err != nil {
				t.Error(err)
			}
			list, err := migrations.Status(t.Context(), d.URL("migrator"))
			if err != nil {
				t.Fatal(err)
			}
			var contract []string
			for _, m := range list {
				if m.AppliedAt == nil {
					t.Errorf("%s %s is pending", m.Owner, m.Name)
				}
				if m.Owner == migrations.Contract {
					contract = append(contract, m.Name)
				}
			}
			if len(contract) != len(takeover.ContractLocks()) {
				t.Errorf("status has %v", contract)
			}
			report, err := migrations.Preflight(t.Context(), d.URL(""), func(string) {})
			if err != nil || !report.Go() {
				t.Errorf("preflight: %+v, %v", report.Findings, err)
			}
			exec(t, admin, "UPDATE order_detail SET unit_price = NULL, price_derived = NULL")
			if got := backfill(t, d).Filled; got != (migrations.Gaps{Prices: 2}) {
				t.Errorf("backfill: %+v", got)
			}
			version := "SELECT version FROM catalog_version"
			changed := value[int64](t, admin, version)
			exec(t, connect(t, d.URL("menu_svc")), "UPDATE pizza SET price = 12.345::float8 WHERE pizza_id = 'bbq_ckn_s'")
			if value[int64](t, admin, version) == changed {
				t.Error("a change of the menu was not counted")
			}
			if _, err := migrations.ForgetMember(t.Context(), d.URL("migrator"), "kim"); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each order and line of the real year is still there, with the same checksum.
func TestContractOfTheYear(t *testing.T) {
	t.Parallel()
	d, old := yearOfOldSystem(t)
	before, err := migrations.TakeSnapshot(t.Context(), old.Monolith)
	if err != nil {
		t.Fatal(err)
	}
	d.Contract(t)
	after, err := migrations.TakeSnapshot(t.Context(), d.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := before.Compare(after); len(diff) > 0 || len(before.Days) != 358 {
		t.Errorf("of %d days, %d differ: %+v", len(before.Days), len(diff), diff)
	}
}

// A run that ends after any step is continued by the next one, also when parity cannot be
// measured any more.
func TestContractEndsAfterEachStep(t *testing.T) {
	t.Parallel()
	d, old, o := ready(t)
	runs := 0
	for ; ; runs++ {
		r, err := migrations.CheckContract(t.Context(), d.URL("migrator"), o)
		if err != nil || !r.Go() {
			t.Fatalf("run %d: %+v, %v", runs, r.Findings, err)
		}
		if r.Applied {
			break
		}
		if len(r.Plan) != len(takeover.ContractLocks())-runs {
			t.Errorf("run %d: the plan is %+v", runs, r.Plan)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err = migrations.ApplyContract(ctx, d.URL("migrator"), o, func(migrations.Step) { cancel() })
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := os.RemoveAll(o.Parity); err != nil {
			t.Fatal(err)
		}
		if err := migrations.Down(t.Context(), d.URL("migrator"), ""); !errors.Is(err, migrations.ErrContracted) {
			t.Errorf("down: %v", err)
		}
	}
	if runs != len(takeover.ContractLocks()) {
		t.Errorf("%d runs", runs)
	}
	whole, other, _ := ready(t)
	whole.Contract(t)
	whole.Contract(t) // as the runs above, takes the rights on its own version table too
	if diff := cmp.Diff(schema(t, other.DSN), schema(t, old.DSN)); diff != "" {
		t.Error(diff)
	}
}

// A table that is in use is left for others, and asked for again. A session that the old
// system opens meanwhile can do nothing.
func TestContractAsksForATableAgain(t *testing.T) {
	t.Parallel()
	d, old, o := ready(t)
	report := connect(t, d.URL(""))
	exec(t, report, "BEGIN; SELECT count(*) FROM orders")
	var warnings []string
	ctx := migrations.WithWarnings(t.Context(), func(text string) {
		if warnings = append(warnings, text); len(warnings) == 2 {
			if code := attempt(t, connect(t, old.Monolith), "SELECT FROM orders"); code != refused {
				t.Errorf("the old system's SQLSTATE is %q", code)
			}
			exec(t, report, "COMMIT")
		}
	})
	if err := migrations.ApplyContract(ctx, d.URL("migrator"), o); err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 2 || !strings.Contains(warnings[0], "sql/contract/00006_orders.sql") {
		t.Errorf("warnings: %q", warnings)
	}
}

// A session of the old system keeps the contract from beginning, and it its rights.
func TestContractDoesNotBeginWithSessions(t *testing.T) {
	t.Parallel()
	d, old, o := ready(t)
	monolith := connect(t, old.Monolith)
	if err := migrations.ApplyContract(t.Context(), d.URL("migrator"), o); err == nil {
		t.Error("it began")
	}
	exec(t, monolith, "INSERT INTO orders VALUES ('8', 'kim', NULL, '2024-02-29', '23:59:59')")
	if err := migrations.Down(t.Context(), d.URL("migrator"), ""); err != nil {
		t.Errorf("down: %v", err)
	}
}

// The plan names each file of sql/contract.
func TestContractLocks(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir("sql/contract")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range entries {
		want = append(want, "contract/"+strings.TrimSuffix(e.Name(), ".sql"))
	}
	for _, l := range takeover.ContractLocks() {
		got = append(got, l.Migration)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
