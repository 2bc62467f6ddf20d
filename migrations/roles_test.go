package migrations_test

import (
	"errors"
	"net/url"
	"os"
	osexec "os/exec"
	"strings"
	"sync"
	"testing"

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
		limit := func(c migrations.Connections) {
			if err := migrations.LimitConnections(t.Context(), admin, c); err != nil {
				t.Fatal(err)
			}
		}
		check := func(c migrations.Connections) error {
			return migrations.CheckConnections(t.Context(), as(t, dsn, "migrator"), c)
		}
		limit(migrations.Connections{Login: 1, Menu: 20})
		connect(t, as(t, dsn, "login_svc"))
		if _, err := pgx.Connect(t.Context(), as(t, dsn, "login_svc")); err == nil || !strings.Contains(err.Error(), "too many connections for role") {
			t.Errorf("a connection beyond the limit: %v", err)
		}
		if err := check(migrations.Connections{Login: 1, Menu: 20, Order: 1000}); err != nil {
			t.Errorf("as many as there may be: %v", err)
		}
		const want = "login_svc may open 1, and needs up to 2; menu_svc may open 20, and needs up to 21 (migrate roles raises them)"
		if err := check(migrations.Connections{Login: 2, Menu: 21}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("more than there may be: %v", err)
		}
		limit(migrations.Connections{})
		if err := check(migrations.Connections{Login: 1000}); err != nil {
			t.Errorf("without a limit: %v", err)
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
	script, err := os.ReadFile("testdata/old_system.sql")
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

// Roles are shared by all databases of a server; preparing several at once works.
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
