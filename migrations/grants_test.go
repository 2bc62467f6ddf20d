package migrations_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

// refused is insufficient_privilege. otherRow is the same code if the verb is
// allowed and a row-level policy rejects the row.
const refused, otherRow = "42501", "42501 row"

// matrix lists the rights of each role on each table: s(elect), i(nsert),
// u(pdate), d(elete). A capital I or U applies only to the columns that columns
// names. No role may do anything else, such as DDL or TRUNCATE; the migrator
// must become pizza_owner first.
const matrix = `
	table                 login_svc  menu_svc  order_svc  migrator

	member                siU-       ----      ----       ----
	revoked_token         si--       ----      s---       ----
	revoked_member        siu-       ----      s---       ----
	former_member         ----       ----      ----       ----
	login_outbox          s-Ud       ----      ----       ----
	schema_version_login  s---       ----      ----       ----

	pizza_types           ----       siud      ----       ----
	pizza                 ----       siud      ----       ----
	catalog_version       ----       s---      ----       ----
	menu_outbox           ----       s-Ud      ----       ----
	schema_version_menu   ----       s---      ----       ----

	branch                ----       ----      s---       ----
	orders                ----       ----      si--       ----
	order_detail          ----       ----      si--       ----
	order_outbox          ----       ----      sIUd       ----
	idempotency_key       ----       ----      sI--       ----
	schema_version_order  ----       ----      s---       ----

	event                 ----       ----      ----       ----
	event_consumer        ----       ----      ----       ----
	event_delivery        ----       ----      ----       ----
	event_publisher       ----       ----      ----       ----
	schema_version_events ----       ----      ----       ----
`

// relayed lists the columns of an outbox that its relay writes.
const relayed = "attempts next_attempt_at last_error sent_at parked_at"

// columns returns the columns that a role may write, if not all.
func columns() map[string]string {
	return map[string]string{
		"UPDATE member":          "member_pwd",
		"UPDATE login_outbox":    relayed,
		"UPDATE menu_outbox":     relayed,
		"UPDATE order_outbox":    relayed,
		"INSERT order_outbox":    "id type subject data traceparent",
		"INSERT idempotency_key": "member_id key fingerprint order_id status content_type location body",
	}
}

// calls returns the functions in the schema public that each role may call.
func calls() map[string][]string {
	return map[string][]string{
		"login_svc": {
			"forget_revocations(integer)", "prune_events(interval,integer)", "prune_login_outbox(interval,integer)",
			"publish_event(json)", "publish_events(json[])",
		},
		"menu_svc": {"prune_events(interval,integer)", "prune_menu_outbox(interval,integer)", "publish_event(json)", "publish_events(json[])"},
		"order_svc": {
			"forget_answers(interval,integer)", "new_order_id()", "order_date(text)", "order_key(text)", "order_time(text)",
			"own_order(character varying)",
			"prune_events(interval,integer)", "prune_order_outbox(interval,integer)", "publish_event(json)", "publish_events(json[])",
		},
	}
}

// rights is one line of the matrix.
type rights struct {
	table string
	of    map[string]string // by role
}

func readMatrix(t *testing.T) []rights {
	t.Helper()
	var all []rights
	for line := range strings.Lines(matrix) {
		cells := strings.Fields(line)
		if len(cells) == 0 || cells[0] == "table" {
			continue
		}
		r := rights{cells[0], map[string]string{}}
		for i, role := range roles() {
			if !regexp.MustCompile("^[s-][iI-][uU-][d-]$").MatchString(cells[i+1]) {
				t.Fatalf("the matrix has %q", cells[i+1])
			}
			r.of[role] = cells[i+1]
		}
		all = append(all, r)
	}
	return all
}

// roles returns the roles in the order of the matrix's columns.
func roles() []string { return []string{"login_svc", "menu_svc", "order_svc", "migrator"} }

// TestGrants tries every verb on every table as every role on a real server.
func TestGrants(t *testing.T) {
	t.Parallel()
	// New and taken-over databases have the same rights.
	fresh := migrationstest.New(t)
	old, _ := takenOver(t)
	for name, d := range map[string]*migrationstest.Database{"new_database": fresh, "taken_over_database": old} {
		for _, role := range roles() {
			t.Run(name+"/"+role, func(t *testing.T) {
				t.Parallel()
				conn := connect(t, d.URL(role))
				for _, r := range readMatrix(t) {
					tryTable(t, conn, r.table, r.of[role])
					tryColumns(t, conn, role, r)
				}
			})
		}
	}
}

// tryTable runs each verb in a transaction that is rolled back. An allowed verb
// succeeds, or fails on the data, which is checked after the rights.
func tryTable(t *testing.T, conn *pgx.Conn, table, allowed string) {
	t.Helper()
	column := map[string]string{
		"member": "member_nm", "revoked_token": "expires_at", "revoked_member": "expires_at", "former_member": "deleted_at", "login_outbox": "type", "pizza_types": "pizza_nm", "pizza": "price",
		"catalog_version": "version", "menu_outbox": "type", "order_outbox": "type", "branch": "bran_nm", "event": "type", "event_consumer": "name", "event_delivery": "subject", "event_publisher": "role",
		"orders": "date", "order_detail": "quantity", "idempotency_key": "key",
	}[table]
	if column == "" {
		column = "version_id"
	}
	for i, verb := range []string{
		"SELECT " + column + " FROM " + table + " LIMIT 1",
		"INSERT INTO " + table + " DEFAULT VALUES",
		"UPDATE " + table + " SET " + column + " = NULL WHERE false",
		"DELETE FROM " + table + " WHERE false",
		"TRUNCATE " + table,
		"ALTER TABLE " + table + " ADD COLUMN mine int",
		"ALTER TABLE " + table + " DISABLE TRIGGER ALL",
		"ALTER TABLE " + table + " OWNER TO CURRENT_USER",
		"CREATE INDEX ON " + table + " (" + column + ")",
		"CREATE TRIGGER mine BEFORE INSERT ON " + table + " FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"DROP TABLE " + table + " CASCADE",
	} {
		if i < len(allowed) && strings.ContainsAny(allowed[i:i+1], "IU") {
			continue // see tryColumns
		}
		code := attempt(t, conn, verb)
		if may := i < len(allowed) && allowed[i] != '-'; may && code != "" && code != otherRow && !strings.HasPrefix(code, "23") || !may && code != refused {
			t.Errorf("%s: allowed is %v, but SQLSTATE is %q", verb, may, code)
		}
	}
}

// tryColumns asks the server which columns the role may write.
func tryColumns(t *testing.T, conn *pgx.Conn, role string, r rights) {
	t.Helper()
	allowed := r.of[role]
	for i, verb := range map[int]string{1: "INSERT", 2: "UPDATE"} {
		query := fmt.Sprintf(`SELECT attname::text FROM pg_attribute
			WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND ($2 OR has_column_privilege($1, attname, '%s')) ORDER BY 1`, verb)
		var want []string
		switch allowed[i] {
		case 'I', 'U':
			want = strings.Fields(columns()[verb+" "+r.table])
			slices.Sort(want)
			if len(want) == 0 {
				t.Errorf("%s %s: which columns?", verb, r.table)
			}
		case 'i', 'u':
			want = values[string](t, conn, query, r.table, true)
		}
		if diff := cmp.Diff(want, values[string](t, conn, query, r.table, false), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s may %s other columns of %s (-want +got):\n%s", role, verb, r.table, diff)
		}
	}
}

// attempt runs a statement, rolls it back, and returns its SQLSTATE.
func attempt(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), sql)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sqlstate(t, err)
}

// A new table must have a line in the matrix.
func TestGrantsCoverEveryTable(t *testing.T) {
	t.Parallel()
	var known []string
	for _, r := range readMatrix(t) {
		known = append(known, "public."+r.table)
	}
	slices.Sort(known)
	there := values[string](t, connect(t, migrationstest.New(t).URL("")), `
		SELECT relnamespace::regnamespace || '.' || relname FROM pg_class
		WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)' ORDER BY 1`)
	if diff := cmp.Diff(known, there); diff != "" {
		t.Errorf("the matrix (-) and the database (+) have other tables:\n%s", diff)
	}
}

// Rights beyond a single table.
func TestRolesMayNothingElse(t *testing.T) {
	t.Parallel()
	d := migrationstest.New(t)
	for _, role := range roles() {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, d.URL(role))
			statements := []string{
				"CREATE TABLE mine (a int)",
				"CREATE TABLE public.mine (a int)",
				"CREATE TEMPORARY TABLE mine (a int)",
				"CREATE VIEW public.mine AS SELECT 1",
				"CREATE SEQUENCE public.mine",
				"CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
				"CREATE SCHEMA mine",
				"CREATE ROLE mine",
				"SET SESSION AUTHORIZATION postgres",
				"SET ROLE postgres",
				"SELECT nextval('public.order_detail_order_detail_id_seq')",
				"SELECT setval('public.order_detail_order_detail_id_seq', 1)",
				"SELECT last_value FROM public.order_detail_order_detail_id_seq",
				"SELECT rolpassword FROM pg_authid",
				"COPY pizza TO PROGRAM 'true'",
			}
			for _, other := range append(roles(), "pizza_owner") {
				if other != role && (role != "migrator" || other != "pizza_owner") {
					statements = append(statements, "SET ROLE "+other)
				}
			}
			for _, sql := range statements {
				if code := attempt(t, conn, sql); code != refused {
					t.Errorf("%s: SQLSTATE %q", sql, code)
				}
			}
			can := values[string](t, conn, `
				SELECT oid::regprocedure::text FROM pg_proc
				WHERE pronamespace = 'public'::regnamespace AND has_function_privilege(oid, 'EXECUTE') ORDER BY 1`)
			if diff := cmp.Diff(calls()[role], can, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("may call (-want +got):\n%s", diff)
			}
			if can := values[string](t, conn, `
				SELECT table_name || '.' || privilege_type FROM information_schema.role_table_grants
				WHERE grantee = current_user AND is_grantable = 'YES'`); len(can) > 0 {
				t.Errorf("may pass on %v", can)
			}
			if can := values[string](t, conn, `
				SELECT sequencename FROM pg_sequences
				WHERE schemaname = 'public' AND has_sequence_privilege('public.' || sequencename, 'USAGE, SELECT, UPDATE')`); len(can) > 0 {
				t.Errorf("may use the sequences %v", can)
			}
		})
	}
	t.Run("migrator_becomes_the_owner", func(t *testing.T) {
		t.Parallel()
		conn := connect(t, d.URL("migrator"))
		exec(t, conn, "SET ROLE pizza_owner")
		for _, r := range readMatrix(t) {
			if code := attempt(t, conn, fmt.Sprintf("ALTER TABLE %s ADD COLUMN mine int", r.table)); code != "" {
				t.Errorf("%s: SQLSTATE %q", r.table, code)
			}
		}
	})
	t.Run("nobody_logs_in_as_the_owner", func(t *testing.T) {
		t.Parallel()
		conn, err := pgx.Connect(t.Context(), d.URL("pizza_owner"))
		if err == nil {
			t.Fatal(conn.Close(t.Context()))
		}
	})
}

// Up does not say that the grants are in place where a table has another owner, and no
// step misses the rows that a policy hides from others than the owner.
func TestTableOfAnotherOwner(t *testing.T) {
	t.Parallel()
	d := migrationstest.NewSeeded(t)
	admin := connect(t, d.URL("postgres"))
	exec(t, admin, "INSERT INTO orders VALUES ('o1', 'demo', 'BRANCH001', '2026-01-01', '12:00:00')")
	exec(t, admin, "ALTER TABLE orders OWNER TO postgres; GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO pizza_owner")
	err := migrations.Up(t.Context(), d.URL("migrator"))
	if err == nil || !strings.Contains(err.Error(), `no privileges were granted for "orders"`) {
		t.Errorf("up: %v", err)
	}
	_, err = migrations.ForgetMember(t.Context(), d.URL("migrator"), "demo")
	if err == nil || !strings.Contains(err.Error(), `"orders"`) {
		t.Errorf("forget: %v", err)
	}
	if err := migrations.ApplyRoles(t.Context(), d.URL("postgres"), migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Up(t.Context(), d.URL("migrator")); err != nil {
		t.Error(err)
	}
	if _, err := migrations.ForgetMember(t.Context(), d.URL("migrator"), "demo"); err != nil {
		t.Error(err)
	}
	if n := value[int](t, admin, "SELECT count(*) FROM orders WHERE member_id <> ''"); n != 0 {
		t.Errorf("%d orders name the member", n)
	}
}
