package takeover_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func preflight(t *testing.T, conn *pgx.Conn) takeover.Report {
	t.Helper()
	r, err := takeover.Preflight(t.Context(), conn, takeover.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// finding is what a test expects.
type finding struct {
	Level  takeover.Level
	Check  string
	Object string
	Rows   int64
}

func findings(r takeover.Report) []finding {
	var list []finding
	for _, f := range r.Findings {
		list = append(list, finding{f.Level, f.Check, f.Object, f.Rows})
	}
	return list
}

// The typical database of the design document has rows of the old days, and no
// reason not to begin.
func TestPreflightOfTheDesignDocument(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	r := preflight(t, connect(t, old.Monolith))
	if !r.Go() || r.Empty() || len(r.Tables) != 6 {
		t.Errorf("go %v, empty %v, tables %v: %v", r.Go(), r.Empty(), r.Tables, r.Findings)
	}
	want := []finding{
		{takeover.Note, "null", "pizza.pizza_type_id", 1},
		{takeover.Note, "null", "orders.bran_id", 1},
		{takeover.Note, "null", "order_detail.pizza_id", 1},
		{takeover.Warn, "duplicate-name", "pizza_types.pizza_nm", 2},
		{takeover.Warn, "password-clear_text", "member.member_pwd", 1},
		{takeover.Note, "local-time", "orders.date", 1},
		{takeover.Note, "not-examined", "server", 0},                   // the old system's role sees its own transactions
		{takeover.Warn, "password-unreadable", "member.member_pwd", 1}, // a stub of a hash
	}
	sorted := func(list []finding) []finding {
		slices.SortFunc(list, func(a, b finding) int { return strings.Compare(a.Check+a.Object, b.Check+b.Object) })
		return list
	}
	if diff := cmp.Diff(sorted(want), sorted(findings(r))); diff != "" {
		t.Error(diff)
	}
}

func TestPreflightOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	r := preflight(t, connect(t, pgtest.Empty(t)))
	if !r.Go() || !r.Empty() || len(r.Findings) > 0 {
		t.Errorf("%+v", r)
	}
}

func TestPreflightAfterTheMigrations(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	if _, err := migrationstest.On(t.Context(), old.DSN); err != nil {
		t.Fatal(err)
	}
	r := preflight(t, connect(t, old.DSN))
	if !r.Go() || !slices.Contains(findings(r), finding{takeover.Note, "adopted", "database", 0}) {
		t.Errorf("%+v", findings(r))
	}
	for _, f := range r.Findings {
		if f.Check == "trigger" || f.Check == "constraint" || f.Check == "table-other" {
			t.Errorf("finds what the migrations have made: %+v", f)
		}
	}
}

// Each finding is produced by a database that was broken for it.
func TestPreflight(t *testing.T) {
	t.Parallel()
	integers := migrationstest.IntegerIDs()
	for name, tc := range map[string]struct {
		replace []string
		sql     string // as the superuser
		want    []finding
	}{
		"integer_order_ids": {
			replace: integers,
			want:    []finding{{takeover.Note, "integer-order-id", "orders.order_id", 0}},
		},
		"order_ids_of_two_types": {
			replace: []string{"order_id VARCHAR(50) PRIMARY KEY", "order_id INTEGER PRIMARY KEY", "REFERENCES orders(order_id)", ""},
			want:    []finding{{takeover.Stop, "column-type", "order_detail.order_id", 0}},
		},
		"float4_price": {
			replace: []string{"price FLOAT", "price FLOAT4"},
			want:    []finding{{takeover.Note, "column-type", "pizza.price", 0}},
		},
		"numeric_price": {
			replace: []string{"price FLOAT", "price NUMERIC(10,2)"},
			want:    []finding{{takeover.Note, "column-type", "pizza.price", 0}},
		},
		"price_of_text": {
			replace: []string{"price FLOAT", "price TEXT"},
			want:    []finding{{takeover.Stop, "column-type", "pizza.price", 0}},
		},
		"dates_of_type_date": {
			sql:  "ALTER TABLE orders ALTER COLUMN date TYPE date USING '2025-01-01'::date",
			want: []finding{{takeover.Stop, "column-type", "orders.date", 0}},
		},
		"short_passwords": {
			sql:  "ALTER TABLE member ALTER COLUMN member_pwd TYPE varchar(50)",
			want: []finding{{takeover.Stop, "column-length", "member.member_pwd", 0}},
		},
		"long_image_urls_and_member_ids": {
			sql: "ALTER TABLE pizza_types ALTER COLUMN pizza_img_url TYPE varchar(1000); ALTER TABLE orders ALTER COLUMN member_id TYPE varchar(100)",
		},
		"nullable_columns": {
			sql: `ALTER TABLE member ALTER COLUMN member_nm DROP NOT NULL; ALTER TABLE member ALTER COLUMN member_pwd DROP NOT NULL;
				ALTER TABLE pizza ALTER COLUMN size DROP NOT NULL; ALTER TABLE pizza ALTER COLUMN price DROP NOT NULL;
				ALTER TABLE order_detail ALTER COLUMN quantity DROP NOT NULL; ALTER TABLE orders ALTER COLUMN date DROP NOT NULL;
				UPDATE member SET member_nm = NULL; UPDATE member SET member_pwd = NULL WHERE member_id = 'kim';
				UPDATE pizza SET size = NULL, price = NULL WHERE pizza_id = 'bbq_ckn_s';
				UPDATE order_detail SET quantity = NULL WHERE order_detail_id = 1; UPDATE orders SET date = NULL WHERE order_id = '1'`,
			want: []finding{
				{takeover.Warn, "null", "member.member_nm", 2},
				{takeover.Warn, "null", "member.member_pwd", 1},
				{takeover.Warn, "null", "pizza.size", 1},
				{takeover.Warn, "null", "pizza.price", 1},
				{takeover.Warn, "null", "order_detail.quantity", 1},
				{takeover.Stop, "null", "orders.date", 1},
			},
		},
		"orders_that_cascade_from_members": {
			sql:  "ALTER TABLE orders ADD FOREIGN KEY (member_id) REFERENCES member ON DELETE CASCADE",
			want: []finding{{takeover.Stop, "foreign-key", "orders.member_id", 0}},
		},
		"orders_that_refer_to_members": {
			sql:  "ALTER TABLE orders ADD FOREIGN KEY (member_id) REFERENCES member",
			want: []finding{{takeover.Stop, "foreign-key", "orders.member_id", 0}},
		},
		"lines_that_cascade_from_pizzas": {
			sql: `ALTER TABLE order_detail DROP CONSTRAINT order_detail_pizza_id_fkey,
				ADD FOREIGN KEY (pizza_id) REFERENCES pizza ON DELETE SET NULL`,
			want: []finding{{takeover.Stop, "foreign-key", "order_detail.pizza_id", 0}},
		},
		"toppings": {
			sql: `CREATE TABLE topping (id int PRIMARY KEY);
				CREATE TABLE pizza_type_topping (t int REFERENCES topping, p varchar(50) REFERENCES pizza_types ON DELETE CASCADE);
				CREATE TABLE django_migrations (id int)`,
			want: []finding{
				{takeover.Note, "foreign-key", "pizza_type_topping.p", 0},
				{takeover.Note, "table-other", "database", 0},
			},
		},
		"pizzas_that_refer_to_others": {
			sql: `CREATE TABLE kind (id varchar(50) PRIMARY KEY); INSERT INTO kind SELECT DISTINCT size FROM pizza;
				ALTER TABLE pizza ADD FOREIGN KEY (size) REFERENCES kind`,
			want: []finding{{takeover.Warn, "foreign-key", "pizza.size", 0}},
		},
		"no_foreign_keys": {
			sql: `ALTER TABLE pizza DROP CONSTRAINT pizza_pizza_type_id_fkey; INSERT INTO pizza VALUES ('p', 'gone', 'S', 1);
				ALTER TABLE order_detail DROP CONSTRAINT order_detail_order_id_fkey, DROP CONSTRAINT order_detail_pizza_id_fkey;
				ALTER TABLE orders DROP CONSTRAINT orders_bran_id_fkey;
				INSERT INTO order_detail VALUES (50, 'gone', 'gone', 0); INSERT INTO orders VALUES ('3', 'nobody', 'gone', '2025-08-03', '10:00:00')`,
			want: []finding{
				{takeover.Warn, "foreign-key-missing", "order_detail.order_id", 0},
				{takeover.Warn, "foreign-key-missing", "order_detail.pizza_id", 0},
				{takeover.Warn, "foreign-key-missing", "orders.bran_id", 0},
				{takeover.Warn, "foreign-key-missing", "pizza.pizza_type_id", 0},
				{takeover.Warn, "orphan", "pizza.pizza_type_id", 1},
				{takeover.Warn, "orphan", "order_detail.order_id", 1},
				{takeover.Warn, "orphan", "order_detail.pizza_id", 1},
				{takeover.Warn, "orphan", "orders.member_id", 1},
				{takeover.Warn, "orphan", "orders.bran_id", 1},
				{takeover.Note, "no-lines", "orders.order_id", 1},
				{takeover.Warn, "quantity", "order_detail.quantity", 1},
			},
		},
		"no_primary_key": {
			sql: `ALTER TABLE order_detail DROP CONSTRAINT order_detail_pkey; INSERT INTO order_detail VALUES (1, '1', 'bbq_ckn_s', 1)`,
			want: []finding{
				{takeover.Stop, "key-missing", "order_detail", 0},
				{takeover.Stop, "duplicate-key", "order_detail.order_detail_id", 2},
			},
		},
		"serial_lines": {
			replace: []string{"order_detail_id INTEGER", "order_detail_id SERIAL"},
			want:    []finding{{takeover.Note, "line-numbers", "order_detail.order_detail_id", 0}},
		},
		"lines_by_identity": {
			replace: []string{"order_detail_id INTEGER", "order_detail_id INTEGER GENERATED BY DEFAULT AS IDENTITY"},
			want:    []finding{{takeover.Note, "line-numbers", "order_detail.order_detail_id", 0}},
		},
		"lines_by_a_default": {
			sql:  "ALTER TABLE order_detail ALTER COLUMN order_detail_id SET DEFAULT (random() * 1000000)::int",
			want: []finding{{takeover.Stop, "line-numbers", "order_detail.order_detail_id", 0}},
		},
		"line_numbers_that_run_out": {
			sql:  "INSERT INTO order_detail VALUES (2147483000, '1', 'bbq_ckn_s', 1)",
			want: []finding{{takeover.Stop, "numbers-run-out", "order_detail.order_detail_id", 0}},
		},
		"order_numbers_that_run_out": {
			replace: integers,
			sql:     "INSERT INTO orders VALUES (1500000000, 'kim', NULL, '2025-08-03', '10:00:00')",
			want:    []finding{{takeover.Warn, "numbers-run-out", "orders.order_id", 0}},
		},
		"column_missing": {
			sql: "ALTER TABLE pizza_types RENAME COLUMN pizza_categ TO category",
			want: []finding{
				{takeover.Stop, "column-missing", "pizza_types.pizza_categ", 0},
				{takeover.Stop, "column-other", "pizza_types.category", 0},
			},
		},
		"columns_in_the_way": {
			sql: `ALTER TABLE orders ADD COLUMN created_at timestamptz; ALTER TABLE member ADD COLUMN email text NOT NULL DEFAULT '';
				ALTER TABLE member ADD COLUMN phone text; ALTER TABLE member ALTER COLUMN email DROP DEFAULT`,
			want: []finding{
				{takeover.Stop, "column-taken", "orders.created_at", 0},
				{takeover.Stop, "column-other", "member.email", 0},
				{takeover.Note, "column-other", "member.phone", 0},
			},
		},
		"names_in_the_way": {
			sql: "CREATE TABLE revoked_token (t text); CREATE FUNCTION number_line() RETURNS int LANGUAGE sql AS 'SELECT 1'",
			want: []finding{
				{takeover.Stop, "name-taken", "revoked_token", 0},
				{takeover.Stop, "name-taken", "number_line", 0},
			},
		},
		"table_missing": {
			sql:  "DROP TABLE order_detail",
			want: []finding{{takeover.Warn, "table-missing", "order_detail", 0}},
		},
		"a_view": {
			sql:  "ALTER TABLE branch RENAME TO branches; CREATE VIEW branch AS SELECT * FROM branches",
			want: []finding{{takeover.Stop, "table-kind", "branch", 0}},
		},
		"a_view_of_member_ids": {
			sql:  "CREATE VIEW buyers AS SELECT member_id, count(*) FROM orders GROUP BY 1",
			want: []finding{{takeover.Stop, "view", "orders.member_id", 0}},
		},
		"another_schema": {
			sql:  "CREATE SCHEMA shop; CREATE TABLE shop.member (member_id text)",
			want: []finding{{takeover.Warn, "schema", "shop.member", 0}},
		},
		"inheritance": {
			sql:  "CREATE TABLE orders_2024 () INHERITS (orders)",
			want: []finding{{takeover.Stop, "inheritance", "orders", 0}},
		},
		"row_level_security": {
			sql:  "ALTER TABLE member ENABLE ROW LEVEL SECURITY",
			want: []finding{{takeover.Stop, "row-security", "member", 0}},
		},
		"triggers_and_rules": {
			sql: `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
				CREATE TRIGGER audit BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION f();
				CREATE RULE keep AS ON DELETE TO branch DO INSTEAD NOTHING`,
			want: []finding{{takeover.Warn, "trigger", "orders", 0}, {takeover.Warn, "trigger", "branch", 0}},
		},
		"rules_of_the_old_system": {
			sql:  "ALTER TABLE member ADD CHECK (member_id <> 'root'); ALTER TABLE branch ADD UNIQUE (bran_nm)",
			want: []finding{{takeover.Warn, "constraint", "member", 0}, {takeover.Warn, "constraint", "branch", 0}},
		},
		"prices": {
			sql: `INSERT INTO pizza VALUES ('nan', 'bbq_ckn', 'M', 'NaN'), ('minus', 'bbq_ckn', 'L', -1), ('much', 'bbq_ckn', 'XL', 1e12),
				('endless', 'bbq_ckn', 'XXL', 'Infinity'), ('third', 'bbq_ckn', 'T', 1.0 / 3), ('twice', 'bbq_ckn', 'S', 1)`,
			want: []finding{
				{takeover.Warn, "price", "pizza.price", 4},
				{takeover.Note, "price-rounded", "pizza.price", 1},
				{takeover.Warn, "duplicate-size", "pizza.pizza_type_id", 2},
			},
		},
		"long_ids": {
			sql: `ALTER TABLE orders ALTER COLUMN member_id TYPE text; UPDATE orders SET member_id = repeat('k', 101) WHERE order_id = '1';
				INSERT INTO member VALUES (' ', 'x', 'Blank')`,
			want: []finding{{takeover.Stop, "id-too-long", "orders.member_id", 1}, {takeover.Warn, "id-empty", "member.member_id", 1}},
		},
		"passwords": {
			replace: []string{"pbkdf2_sha256$600000$c2FsdA$aGFzaA", "pbkdf2_sha256$600000$c2FsdHNhbHQ$wm4fCOWYPHwNbUlBnJMdQ5AzU4mYkAtR4yTx8ojzCEI="},
			sql: `INSERT INTO member VALUES ('a', 'bcrypt$$2b$12$abcdefghijklmnopqrstuv', 'A'), ('b', '', 'B'),
				('c', '$argon2id$v=19$m=1,t=1,p=1$x$y', 'C'), ('d', '5f4dcc3b5aa765d61d8327deb882cf99', 'D')`,
			want: []finding{
				{takeover.Warn, "password-digest", "member.member_pwd", 1},
				{takeover.Warn, "password-unreadable", "member.member_pwd", 2},
				{takeover.Warn, "password-none", "member.member_pwd", 1},
				{takeover.Note, "password-django_pbkdf2", "member.member_pwd", 1},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, tc.replace...)
			conn := connect(t, old.DSN)
			if tc.sql != "" {
				exec(t, conn, tc.sql)
			}
			r := preflight(t, conn)
			got := findings(r)
			stops := false
			for _, want := range tc.want {
				stops = stops || want.Level == takeover.Stop
				if !slices.Contains(got, want) {
					t.Errorf("no %+v", want)
				}
			}
			if r.Go() == stops || t.Failed() {
				t.Errorf("go %v: %+v", r.Go(), r.Findings)
			}
			mustMatchUp(t, old, conn)
		})
	}
}

// mustMatchUp checks the verdict: with go, roles and migrations work, and the old
// system still places an order; with a stop of the schema, nothing changes.
func mustMatchUp(t *testing.T, old migrationstest.OldSystem, conn *pgx.Conn) {
	t.Helper()
	var before, after string
	const state = `SELECT string_agg(format('%s %s', relname, relowner::regrole), ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace`
	if err := conn.QueryRow(t.Context(), state).Scan(&before); err != nil {
		t.Fatal(err)
	}
	blocked := takeover.Check(t.Context(), conn) != nil
	_, err := migrationstest.On(t.Context(), old.DSN)
	switch {
	case blocked && err == nil:
		t.Error("the migrations went on in spite of a stop")
	case blocked:
		if err := conn.QueryRow(t.Context(), state).Scan(&after); err != nil || before != after {
			t.Errorf("something changed: %v, before %s, after %s", err, before, after)
		}
	case err != nil:
		t.Errorf("the migrations failed in spite of the verdict: %v", err)
	}
}

// The names that preflight looks for are those that the migrations add.
func TestTakenNames(t *testing.T) {
	t.Parallel()
	fresh := connect(t, migrationstest.New(t).URL(""))
	integers := migrationstest.NewOldSystem(t, migrationstest.IntegerIDs()...)
	if _, err := migrationstest.On(t.Context(), integers.DSN); err != nil {
		t.Fatal(err)
	}
	for kind, sql := range map[string]string{
		"relations": `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
			AND relname !~ '^(member|pizza_types|pizza|branch|orders|order_detail)$' ORDER BY 1`,
		"functions": `SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1`,
	} {
		var all []string
		for _, conn := range []*pgx.Conn{fresh, connect(t, integers.DSN)} {
			rows, err := conn.Query(t.Context(), sql)
			if err != nil {
				t.Fatal(err)
			}
			names, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, names...)
		}
		slices.Sort(all)
		if diff := cmp.Diff(takeover.NewNames(kind), slices.Compact(all)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}
