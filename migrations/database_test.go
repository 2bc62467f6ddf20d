package migrations_test

import (
	"strings"
	"sync"
	"testing"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

// TestAdministratorOfTheCloud: the administrator of a managed server is no superuser. It
// creates the database and the roles, and the migrator and the services can do their work.
func TestAdministratorOfTheCloud(t *testing.T) {
	t.Parallel()
	s := server(t)
	super := connect(t, s.URL("postgres"))
	const attributes = " LOGIN CREATEROLE CREATEDB PASSWORD 'only-for-tests'"
	for name, roles := range map[string]string{
		"rds": "CREATE ROLE app_admin" + attributes + "; CREATE ROLE rds_superuser; " +
			"GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO rds_superuser WITH ADMIN OPTION; " +
			"GRANT rds_superuser TO app_admin",
		"cloud_sql": "CREATE ROLE cloudsqlsuperuser CREATEROLE CREATEDB; CREATE ROLE app_admin" + attributes +
			"; GRANT pg_monitor, pg_signal_backend TO cloudsqlsuperuser; GRANT cloudsqlsuperuser TO app_admin",
		"azure": "CREATE ROLE azure_pg_admin; CREATE ROLE app_admin" + attributes +
			"; GRANT azure_pg_admin TO app_admin WITH ADMIN OPTION; REVOKE CONNECT ON DATABASE template1 FROM PUBLIC",
	} {
		t.Run(name, func(t *testing.T) {
			exec(t, super, roles)
			admin := as(t, s.URL("pizza"), "app_admin")
			for _, want := range []bool{true, false} { // again, as before each migration
				if created, err := migrations.CreateDatabase(t.Context(), admin); err != nil || created != want {
					t.Fatal(created, err)
				}
				if err := migrations.ApplyRoles(t.Context(), admin, migrationstest.Passwords()); err != nil {
					t.Fatal(err)
				}
				limits := migrations.Connections{Login: new(7), Menu: new(8), Order: new(9)}
				if _, err := migrations.LimitConnections(t.Context(), admin, limits); err != nil {
					t.Fatal(err)
				}
				if err := migrations.Up(t.Context(), as(t, s.URL("pizza"), "migrator")); err != nil {
					t.Fatal(err)
				}
				mustBeReady(t, s.URL("pizza"))
			}
			const properties = `SELECT pg_get_userbyid(datdba) || ' ' || pg_encoding_to_char(encoding)
				FROM pg_database WHERE datname = 'pizza'`
			if got := value[string](t, super, properties); got != "app_admin UTF8" {
				t.Errorf("owner and encoding of the database: %s", got)
			}
			exec(t, super, "DROP DATABASE pizza WITH (FORCE)")
			exec(t, super, "DROP ROLE pizza_owner, migrator, login_svc, menu_svc, order_svc, app_admin")
			exec(t, super, "DROP ROLE IF EXISTS rds_superuser, cloudsqlsuperuser, azure_pg_admin")
			exec(t, super, "GRANT CONNECT ON DATABASE template1 TO PUBLIC")
		})
	}
}

// An administrator who may not create the database is told what to run, and that is enough.
func TestDatabaseOfAnotherAdministrator(t *testing.T) {
	t.Parallel()
	s := server(t)
	super := connect(t, s.URL("postgres"))
	exec(t, super, "CREATE ROLE \"app-admin\" LOGIN CREATEROLE PASSWORD 'only-for-tests'")
	admin := as(t, s.URL("pizza-1"), "app-admin")
	_, err := migrations.CreateDatabase(t.Context(), admin)
	const problem, advice = "permission denied to create database", `have this run, and run it again:` + "\n  "
	if err == nil || !strings.Contains(err.Error(), problem) || !strings.Contains(err.Error(), advice) {
		t.Fatal(err)
	}
	_, sql, _ := strings.Cut(err.Error(), advice)
	exec(t, super, strings.TrimSuffix(sql, "; -- as a superuser"))
	if created, err := migrations.CreateDatabase(t.Context(), admin); created || err != nil {
		t.Error(created, err)
	}
	if err := migrations.ApplyRoles(t.Context(), admin, migrationstest.Passwords()); err != nil {
		t.Error(err)
	}
}

// Several releases can start at once, and only one of them creates the database.
func TestCreateDatabaseOnce(t *testing.T) {
	t.Parallel()
	s := server(t)
	var all sync.WaitGroup
	created := make(chan bool, 8)
	for range cap(created) {
		all.Go(func() {
			did, err := migrations.CreateDatabase(t.Context(), s.URL("pizza"))
			if err == nil {
				err = migrations.ApplyRoles(t.Context(), s.URL("pizza"), migrationstest.Passwords())
			}
			if err != nil {
				t.Error(err)
			}
			created <- did
		})
	}
	all.Wait()
	close(created)
	n := 0
	for did := range created {
		if did {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d runs have created the database", n)
	}
}
