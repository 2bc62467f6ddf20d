package migrations_test

import (
	std "cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	osexec "os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

// server starts a separate server for the test, because all databases of a
// server share roles and passwords.
func server(t *testing.T) *pgserver.Server {
	t.Helper()
	s, err := pgserver.Start(t.Context(), pgserver.Options{Settings: pgserver.TestSettings()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func withPassword(t *testing.T, dsn, role, password string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

// mustLogIn logs in with each password through pgx, as the services do, and
// through psql, if installed.
func mustLogIn(t *testing.T, dsn string, p migrations.Passwords) {
	t.Helper()
	psql, _ := osexec.LookPath("psql")
	for role, password := range map[string]string{"migrator": p.Migrator, "login_svc": p.Login, "menu_svc": p.Menu, "order_svc": p.Order} {
		conn, err := pgurl.Connect(t.Context(), withPassword(t, dsn, role, password))
		if err != nil {
			t.Errorf("%s cannot log in with %q: %v", role, password, err)
			continue
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if psql == "" {
			continue
		}
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		u.User = url.User(role)
		cmd := osexec.CommandContext(t.Context(), psql, "--no-psqlrc", "--command=SELECT 1", u.String())
		cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("psql cannot log in as %s with %q: %v %s", role, password, err, out)
		}
	}
}

func TestApplyRoles(t *testing.T) {
	t.Parallel()
	s := server(t)
	admin := connect(t, s.URL("postgres"))
	exec(t, admin, "CREATE DATABASE pizza")
	dsn := s.URL("pizza")
	apply := func(p migrations.Passwords) error { return migrations.ApplyRoles(t.Context(), dsn, p) }

	t.Run("passwords", func(t *testing.T) {
		first := migrations.Passwords{Migrator: "1", Login: `'"\; --`, Menu: "비밀번호 Ⅸ", Order: strings.Repeat("o", 200)}
		if err := apply(first); err != nil {
			t.Fatal(err)
		}
		mustLogIn(t, dsn, first)
		kept := values[string](t, admin, "SELECT rolpassword FROM pg_authid WHERE rolname IN ('migrator', 'login_svc', 'menu_svc', 'order_svc')")
		for _, v := range kept {
			if !strings.HasPrefix(v, "SCRAM-SHA-256$4096:") {
				t.Errorf("the server keeps %q", v)
			}
		}
	})
	t.Run("changed_passwords", func(t *testing.T) {
		if err := apply(migrationstest.Passwords()); err != nil {
			t.Fatal(err)
		}
		connect(t, as(t, dsn, "login_svc"))
		conn, err := pgx.Connect(t.Context(), withPassword(t, dsn, "migrator", "1"))
		if err == nil {
			t.Error("the old password still works", conn.Close(t.Context()))
		}
	})
	t.Run("passwords_that_saslprep_changes", func(t *testing.T) {
		for _, p := range []migrations.Passwords{
			{Migrator: "½ half", Login: "no\u00a0break", Menu: "soft\u00adhyphen", Order: "ｐａｓｓ ﬁ"},
			{Migrator: "pizza 🍕", Login: "aكلمةb", Menu: "e\u0301le\u0300ve", Order: strings.Repeat("½", 3000)},
			{Migrator: "tab\there", Login: "a\u200bb", Menu: "\u2460 \u3300", Order: "\u00ad"},
		} {
			if err := apply(p); err != nil {
				t.Fatal(err)
			}
			mustLogIn(t, dsn, p)
		}
	})
	t.Run("password_that_clients_read_differently", func(t *testing.T) {
		for _, password := range []string{"aكلمةb\u00a0c", "caf\xe9"} {
			p := migrationstest.Passwords()
			p.Menu = password
			if err := apply(p); !errors.Is(err, pgurl.ErrPassword) || !strings.HasPrefix(err.Error(), "password of menu_svc: ") ||
				strings.Contains(err.Error(), password) {
				t.Errorf("%q: %v", password, err)
			}
		}
	})
	t.Run("empty_password", func(t *testing.T) {
		p := migrationstest.Passwords()
		p.Menu = ""
		if err := apply(p); err == nil || !strings.Contains(err.Error(), "password of menu_svc: must not be empty") {
			t.Error(err)
		}
	})
	t.Run("drift_is_fixed", func(t *testing.T) {
		exec(t, admin, "ALTER ROLE pizza_owner LOGIN")
		exec(t, admin, "ALTER ROLE login_svc INHERIT NOLOGIN")
		if err := apply(migrationstest.Passwords()); err != nil {
			t.Fatal(err)
		}
		drifted := value[int](t, admin, `
			SELECT count(*) FROM pg_roles
			WHERE rolname = 'pizza_owner' AND rolcanlogin OR rolname = 'login_svc' AND (rolinherit OR NOT rolcanlogin)`)
		if drifted != 0 {
			t.Error("the drift of the roles was not fixed")
		}
	})
	t.Run("connection_limits", func(t *testing.T) {
		admin := s.URL("pizza")
		limit := func(c migrations.Connections) []migrations.Limit {
			t.Helper()
			limits, err := migrations.LimitConnections(t.Context(), admin, c)
			if err != nil {
				t.Fatal(err)
			}
			return limits
		}
		check := func(c migrations.Connections) error {
			return migrations.CheckConnections(t.Context(), as(t, dsn, "migrator"), c)
		}
		limit(migrations.Connections{Login: new(1), Menu: new(20)})
		connect(t, as(t, dsn, "login_svc"))
		if _, err := pgx.Connect(t.Context(), as(t, dsn, "login_svc")); err == nil || !strings.Contains(err.Error(), "too many connections for role") {
			t.Errorf("a connection beyond the limit: %v", err)
		}
		if err := check(migrations.Connections{Login: new(1), Menu: new(20), Order: new(1000)}); err != nil {
			t.Errorf("as many as there may be: %v", err)
		}
		const want = "login_svc may open 1, and needs up to 2; menu_svc may open 20, and needs up to 21 (migrate roles raises them)"
		err := check(migrations.Connections{Login: new(2), Menu: new(21)})
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("more than there may be: %v", err)
		}
		kept := []migrations.Limit{
			{Role: "login_svc", Most: -1}, {Role: "menu_svc", Most: 20, Kept: true}, {Role: "order_svc", Most: -1, Kept: true},
		}
		if diff := cmp.Diff(kept, limit(migrations.Connections{Login: new(0)})); diff != "" {
			t.Error(diff)
		}
		if err := check(migrations.Connections{Login: new(1000), Menu: new(20)}); err != nil {
			t.Errorf("without a limit of login_svc: %v", err)
		}
	})
	t.Run("mighty_role", func(t *testing.T) {
		exec(t, admin, "ALTER ROLE menu_svc CREATEROLE")
		err := apply(migrationstest.Passwords())
		if err == nil || !strings.Contains(err.Error(), "the role menu_svc exists and may do more than it should") {
			t.Error(err)
		}
	})
}

// The administrator need not be a superuser: here it is the old system's role,
// which owns the database and may create roles.
func TestApplyRolesWithoutSuperuser(t *testing.T) {
	t.Parallel()
	s := server(t)
	exec(t, connect(t, s.URL("postgres")), "CREATE ROLE monolith LOGIN CREATEROLE PASSWORD '"+migrationstest.Passwords().Migrator+"'")
	exec(t, connect(t, s.URL("postgres")), "CREATE DATABASE pizza OWNER monolith")
	monolith := as(t, s.URL("pizza"), "monolith")
	script, err := os.ReadFile("migrationstest/old_system.sql")
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, monolith)
	exec(t, conn, string(script))
	before := rows(t, monolith)
	for range 2 {
		if err := migrations.ApplyRoles(t.Context(), monolith, migrationstest.Passwords()); err != nil {
			t.Fatal(err)
		}
		if err := migrations.Up(t.Context(), as(t, monolith, "migrator")); err != nil {
			t.Fatal(err)
		}
	}
	if value[bool](t, conn, "SELECT pg_has_role('pizza_owner', 'USAGE')") {
		t.Error("the old system's role has the rights of pizza_owner")
	}
	exec(t, conn, "UPDATE pizza SET price = price + 1 WHERE pizza_id = 'bbq_ckn_s'")
	exec(t, conn, "UPDATE pizza SET price = price - 1 WHERE pizza_id = 'bbq_ckn_s'")
	if after := rows(t, monolith); strings.Join(after, "\n") != strings.Join(before, "\n") {
		t.Errorf("%v became %v", before, after)
	}
}

// TestAdministrators: whoever runs `migrate roles`, it does everything or says what is
// missing; what it says, run by a superuser, is enough.
func TestAdministrators(t *testing.T) {
	t.Parallel()
	s := server(t)
	super := connect(t, s.URL("postgres"))
	script, err := os.ReadFile("migrationstest/old_system.sql")
	if err != nil {
		t.Fatal(err)
	}
	const ofMonolith = `SELECT format('%s, %s', has_schema_privilege('monolith', 'public', 'CREATE'),
		has_database_privilege('monolith', 'pizza', 'TEMPORARY'))`
	const half = "CREATE ROLE app_admin LOGIN CREATEROLE; "
	alone := []string{"GRANT CREATE ON SCHEMA public TO pizza_owner", "REVOKE TEMPORARY ON DATABASE pizza FROM PUBLIC"}
	var tables []string
	for _, table := range oldTables() {
		tables = append(tables, fmt.Sprintf(
			"ALTER TABLE public.%s OWNER TO pizza_owner; "+
				"GRANT SELECT, INSERT, UPDATE, DELETE ON public.%[1]s TO monolith", table))
	}
	slices.Sort(tables)
	for _, test := range []struct {
		name  string
		roles string // those that there are, with app_admin among them
		owner string // of the database
		setup string // run in the database by a superuser
		old   bool   // with the old system's tables, which belong to monolith
		want  []string
	}{
		{name: "superuser", roles: "CREATE ROLE app_admin LOGIN SUPERUSER", old: true},
		{name: "owner", roles: half, owner: "app_admin"},
		{name: "member_of_the_owner", roles: "CREATE ROLE dba; " + half + "GRANT dba TO app_admin", owner: "dba"},
		{
			name: "rds", owner: "app_admin", old: true,
			roles: "CREATE ROLE rds_superuser; GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION; " + half +
				"ALTER ROLE app_admin CREATEDB; GRANT rds_superuser, monolith TO app_admin",
		},
		{
			name: "rds_without_the_tables", roles: half + "ALTER ROLE app_admin CREATEDB", owner: "app_admin", old: true,
			want: tables,
		},
		{name: "neither_owner_nor_member", roles: half, want: alone},
		{
			name: "member_without_inheritance", owner: "dba", want: alone,
			roles: "CREATE ROLE dba; CREATE ROLE app_admin LOGIN CREATEROLE NOINHERIT; GRANT dba TO app_admin",
		},
		{
			name: "database_closed_to_the_public", roles: half,
			setup: "REVOKE ALL ON DATABASE pizza FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC; " +
				"GRANT CONNECT ON DATABASE pizza TO app_admin",
			want: []string{
				"GRANT CONNECT ON DATABASE pizza TO login_svc", "GRANT CONNECT ON DATABASE pizza TO menu_svc",
				"GRANT CONNECT ON DATABASE pizza TO migrator", "GRANT CONNECT ON DATABASE pizza TO order_svc",
				"GRANT CREATE ON SCHEMA public TO pizza_owner", "GRANT USAGE ON SCHEMA public TO login_svc",
				"GRANT USAGE ON SCHEMA public TO menu_svc", "GRANT USAGE ON SCHEMA public TO order_svc",
				"GRANT USAGE ON SCHEMA public TO pizza_owner",
			},
		},
		{ // as PostgreSQL 14 has made it
			name: "old_system_that_lives_on_rights_of_the_public", old: true,
			roles: half, setup: "GRANT CREATE ON SCHEMA public TO PUBLIC",
			want: slices.Concat([]string{
				"GRANT CREATE ON SCHEMA public TO monolith", "GRANT TEMPORARY ON DATABASE pizza TO monolith",
				alone[0], "REVOKE CREATE ON SCHEMA public FROM PUBLIC", alone[1],
			}, tables),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			exec(t, super, "CREATE ROLE monolith LOGIN; "+test.roles)
			exec(t, super, "CREATE DATABASE pizza OWNER "+std.Or(test.owner, "postgres"))
			inside := connect(t, s.URL("pizza"))
			for _, role := range []string{"app_admin", "monolith"} {
				exec(t, inside, "ALTER ROLE "+role+" PASSWORD '"+migrationstest.Passwords().Migrator+"'")
			}
			if test.old {
				exec(t, inside, "GRANT CREATE ON SCHEMA public TO monolith; SET ROLE monolith; "+string(script)+
					"; RESET ROLE; REVOKE CREATE ON SCHEMA public FROM monolith")
			}
			exec(t, inside, test.setup)
			before := value[string](t, inside, ofMonolith)
			admin := as(t, s.URL("pizza"), "app_admin")
			err := migrations.ApplyRoles(t.Context(), admin, migrationstest.Passwords())
			var missing []string
			if err != nil {
				for _, m := range regexp.MustCompile("\n  (.*); -- as .*").FindAllStringSubmatch(err.Error(), -1) {
					missing = append(missing, m[1])
				}
				if missing == nil || !strings.Contains(err.Error(), "the administrator app_admin may not do everything") {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(test.want, missing); diff != "" {
				t.Error(diff)
			}
			if missing != nil {
				exec(t, inside, strings.Join(missing, "; "))
				if err := migrations.ApplyRoles(t.Context(), admin, migrationstest.Passwords()); err != nil {
					t.Errorf("once others have done their part: %v", err)
				}
			}
			if err := migrations.Up(t.Context(), as(t, s.URL("pizza"), "migrator")); err != nil {
				t.Error(err)
			}
			mustBeReady(t, s.URL("pizza"))
			if after := value[string](t, inside, ofMonolith); test.old && before != after {
				t.Errorf("CREATE, TEMPORARY of the old system were %s, and are %s", before, after)
			}
			if test.old {
				exec(t, connect(t, as(t, s.URL("pizza"), "monolith")), "INSERT INTO branch VALUES ('BRANCH999', 'x')")
			}
			exec(t, super, "DROP DATABASE pizza WITH (FORCE)")
			exec(t, super, "DROP ROLE pizza_owner, migrator, login_svc, menu_svc, order_svc, monolith")
			exec(t, super, "DROP ROLE app_admin; DROP ROLE IF EXISTS dba, rds_superuser")
		})
	}
}

// mustBeReady checks that the services can work, and do no more.
func mustBeReady(t *testing.T, dsn string) {
	t.Helper()
	for role, table := range map[string]string{"login_svc": "member", "menu_svc": "pizza", "order_svc": "branch"} {
		conn := connect(t, as(t, dsn, role))
		if code := attempt(t, conn, "SELECT FROM "+table); code != "" {
			t.Errorf("%s cannot read %s: SQLSTATE %s", role, table, code)
		}
		for _, sql := range []string{"CREATE TEMPORARY TABLE mine ()", "CREATE TABLE mine ()"} {
			if code := attempt(t, conn, sql); code != refused {
				t.Errorf("%s: %s: SQLSTATE %q", role, sql, code)
			}
		}
	}
}

// An administrator who may not change the roles is told why, and by which right.
func TestRolesOfAnotherAdministrator(t *testing.T) {
	t.Parallel()
	s := server(t)
	super := connect(t, s.URL("postgres"))
	exec(t, super, "CREATE DATABASE pizza")
	exec(t, super, "CREATE ROLE app_admin LOGIN PASSWORD '"+migrationstest.Passwords().Migrator+"'")
	apply := func() error {
		return migrations.ApplyRoles(t.Context(), as(t, s.URL("pizza"), "app_admin"), migrationstest.Passwords())
	}
	if err := apply(); err == nil || !strings.Contains(err.Error(), "permission denied to create role") {
		t.Errorf("without CREATEROLE: %v", err)
	}
	exec(t, super, "ALTER ROLE app_admin CREATEROLE; ALTER DATABASE pizza OWNER TO app_admin")
	if err := migrations.ApplyRoles(t.Context(), s.URL("pizza"), migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	// PostgreSQL 16 has bound CREATEROLE to the roles that one has made.
	bound := value[bool](t, super, "SELECT current_setting('server_version_num')::int >= 160000")
	if err := apply(); bound != (err != nil) || bound && !strings.Contains(err.Error(), "the ADMIN option on") {
		t.Error(err)
	}
	exec(t, super, "GRANT migrator, login_svc, menu_svc, order_svc TO app_admin WITH ADMIN OPTION; "+
		"REVOKE pizza_owner FROM migrator")
	const missing = "\n  GRANT pizza_owner TO migrator WITH SET TRUE; " +
		"-- as one who has ADMIN OPTION on pizza_owner, or a superuser"
	if err := apply(); bound != (err != nil) || bound && !strings.HasSuffix(err.Error(), missing) {
		t.Error(err)
	}
	exec(t, super, "GRANT pizza_owner TO app_admin WITH ADMIN OPTION")
	if err := apply(); err != nil {
		t.Error(err)
	}
}

// Roles belong to all databases of a server; preparing several at once works.
func TestApplyRolesToManyDatabases(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 4 {
		dsn := pgtest.Empty(t)
		wg.Go(func() {
			if err := migrations.ApplyRoles(t.Context(), dsn, migrationstest.Passwords()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
