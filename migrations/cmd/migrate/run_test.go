package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// program runs migrate with the given variables.
type program map[string]string

func (p program) run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, problems bytes.Buffer
	var environ []string
	for name, value := range p {
		environ = append(environ, name+"="+value)
	}
	err = run(t.Context(), args, environ, &out, &problems)
	return out.String(), problems.String(), err
}

// mustRun runs migrate and checks that its output contains each want.
func (p program) mustRun(t *testing.T, args []string, want ...string) string {
	t.Helper()
	stdout, stderr, err := p.run(t, args...)
	if err != nil {
		t.Fatalf("migrate %s: %v", strings.Join(args, " "), err)
	}
	for _, w := range want {
		if !strings.Contains(stdout+stderr, w) {
			t.Errorf("migrate %s prints %q, without %q", strings.Join(args, " "), stdout+stderr, w)
		}
	}
	return stdout
}

func database(t *testing.T) (admin, migrator program) {
	t.Helper()
	dsn := pgtest.Empty(t)
	p := migrationstest.Passwords()
	admin = program{
		"DATABASE_URL": dsn, "MIGRATOR_DB_PASSWORD": p.Migrator, "LOGIN_DB_PASSWORD": p.Login,
		"MENU_DB_PASSWORD": p.Menu, "ORDER_DB_PASSWORD": p.Order,
	}
	migrator = program{"DB_USER": "migrator", "DB_PASSWORD": p.Migrator, "DB_SSLMODE": "disable"}
	rest, ok := strings.CutPrefix(dsn[strings.LastIndex(dsn, "@"):], "@")
	address, name, slash := strings.Cut(rest, "/")
	host, port, colon := strings.Cut(address, ":")
	if !ok || !slash || !colon {
		t.Fatal("the test server's address is not as expected")
	}
	migrator["DB_HOST"], migrator["DB_PORT"] = host, port
	migrator["DB_NAME"], _, _ = strings.Cut(name, "?")
	return admin, migrator
}

// The complete workflow of an operator.
func TestMigrate(t *testing.T) {
	t.Parallel()
	admin, migrator := database(t)
	admin.mustRun(t, []string{"roles"}, "the database was there; the roles pizza_owner, migrator, login_svc, menu_svc and order_svc are in place")
	migrator.mustRun(t, []string{"status"}, "OWNER   VERSION  MIGRATION", "order   00003    number_lines", "pending", "0 applied, ")
	migrator.mustRun(t, []string{"up"}, "applied  login   00001  member", "the schema is up to date, after ")
	migrator.mustRun(t, []string{"up"}, "the schema was up to date")
	migrator.mustRun(t, []string{"status"}, " UTC\n", ", 0 pending")

	var list []migrations.Migration
	if err := json.Unmarshal([]byte(migrator.mustRun(t, []string{"status", "--json"})), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 16 || list[0].Owner != "events" || list[0].Version != 1 || list[0].Name != "events" || list[0].AppliedAt == nil {
		t.Errorf("status --json: %+v", list)
	}

	migrator.mustRun(t, []string{"seed"}, "pizza        96", "TABLE        ROWS ADDED")
	migrator.mustRun(t, []string{"seed", "--history", "../../seed/history"}, "pizza        0", "loading: 100%",
		"loaded 21350 orders with 48620 lines of 49574 pizzas for 817860.05, by 500 new members")
	migrator.mustRun(t, []string{"seed", "--history=../../seed/history"}, "the orders exist already; nothing loaded")

	migrator.mustRun(t, []string{"down", "--yes"}, "rolled back  order  ")
	migrator.mustRun(t, []string{"down", "login", "--yes"}, "rolled back  login  ")
	migrator.mustRun(t, []string{"status"}, "2 pending")
	migrator.mustRun(t, []string{"up"}, "after 2 migrations")
}

// What needs another address, file or password is the settings' fault, what can change
// in the database is not.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	admin, _ := database(t)
	with := func(name, value string) program {
		p := maps.Clone(admin)
		p[name] = value
		return p
	}
	nobody := strings.Replace(admin["DATABASE_URL"], "//postgres", "//nobody", 1)
	for name, test := range map[string]struct {
		program program
		args    []string
		want    int
	}{
		"done":             {admin, []string{"roles"}, 0},
		"not_there":        {with("DATABASE_URL", "postgres://u:p@127.0.0.1:1/d"), []string{"status"}, 1},
		"no_such_role":     {with("DATABASE_URL", nobody), []string{"status"}, 1},
		"no_such_database": {with("DATABASE_URL", admin["DATABASE_URL"]+"&dbname=gone"), []string{"status"}, 1},
		"no_such_file":     {with("DATABASE_URL", "postgres://u:p@h/d?sslrootcert=/gone"), []string{"status"}, 2},
		"no_such_sslmode":  {with("DATABASE_URL", "postgres://u:p@h/d?sslmode=perhaps"), []string{"status"}, 2},
		"nothing_to_undo":  {admin, []string{"down", "--yes"}, 1},
	} {
		if _, _, err := test.program.run(t, test.args...); exitStatus(err) != test.want {
			t.Errorf("%s: exit status %d, want %d: %v", name, exitStatus(err), test.want, err)
		}
	}
}

// Help names every variable that a command reads.
func TestHelpNamesAllVariables(t *testing.T) {
	t.Parallel()
	words := strings.FieldsFunc(help, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })
	for _, v := range variables() {
		if !slices.Contains(words, v.Name) {
			t.Errorf("help does not name %s", v.Name)
		}
	}
}

func variables() []config.Variable {
	return config.Describe(reflect.TypeFor[struct {
		Database    Database
		Passwords   Passwords
		Connections Connections
		Hashing     Hashing
		Shop        Shop
	}]())
}

// What migrate and the services both read has the same rule and default.
func TestSettingsAreThoseOfTheServices(t *testing.T) {
	t.Parallel()
	services, compared := map[string]config.Variable{}, 0
	for _, v := range config.Describe(reflect.TypeFor[postgres.Config]()) {
		services[v.Name] = v
	}
	for _, v := range variables() {
		theirs, shared := services[v.Name]
		if !shared {
			continue
		}
		compared++
		if diff := cmp.Diff([]any{theirs.Default, theirs.Rule}, []any{v.Default, v.Rule}); diff != "" {
			t.Errorf("%s: %s", v.Name, diff)
		}
	}
	if compared != 7 {
		t.Errorf("%d variables compared", compared)
	}
}

// TestRoles: an administrator with half of the rights is told what is missing, and a
// limit of which nothing is said stays.
func TestRoles(t *testing.T) {
	t.Parallel()
	s, err := pgserver.Start(t.Context(), pgserver.Options{Settings: pgserver.TestSettings()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn, err := pgurl.Connect(t.Context(), s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	execute := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	execute("CREATE ROLE half LOGIN CREATEROLE PASSWORD 'half'")
	address, err := url.Parse(s.URL("pizza"))
	if err != nil {
		t.Fatal(err)
	}
	address.User = url.UserPassword("half", "half")
	p := program{
		"DATABASE_URL": address.String(), "LOGIN_CONNECTIONS": "7",
		"MIGRATOR_DB_PASSWORD": "a", "LOGIN_DB_PASSWORD": "b", "MENU_DB_PASSWORD": "c", "ORDER_DB_PASSWORD": "d",
	}
	if _, _, err := p.run(t, "roles"); exitStatus(err) != 1 || !strings.Contains(err.Error(), "permission denied to create database") {
		t.Errorf("without a database: %v", err)
	}
	execute("CREATE DATABASE pizza")
	stdout, stderr, err := p.run(t, "roles")
	const missing = "GRANT CREATE ON SCHEMA public TO pizza_owner; -- as postgres, or a superuser"
	if exitStatus(err) != 1 || !strings.Contains(err.Error(), missing) {
		t.Error(err)
	}
	if stdout != "" || !strings.Contains(stderr, `warning: no privileges were granted for "pizza"`) {
		t.Errorf("stdout %q, stderr %q", stdout, stderr)
	}
	execute("ALTER DATABASE pizza OWNER TO half")
	p.mustRun(t, []string{"roles"}, "login_svc  7 ", "menu_svc   no limit     as before: MENU_CONNECTIONS is not set")
	delete(p, "LOGIN_CONNECTIONS")
	p["MENU_CONNECTIONS"] = "9"
	p.mustRun(t, []string{"roles"}, "login_svc  7            as before: LOGIN_CONNECTIONS is not set", "menu_svc   9 ")
	p["LOGIN_CONNECTIONS"] = "0"
	p.mustRun(t, []string{"roles"}, "login_svc  no limit     \n")
	if _, stderr, err := p.run(t, "roles"); err != nil || stderr != "" {
		t.Errorf("with all rights: %v, stderr %q", err, stderr)
	}
	execute("ALTER ROLE half CREATEDB")
	address.Path = "/another"
	p["DATABASE_URL"] = address.String()
	p.mustRun(t, []string{"roles"}, "the database was created; the roles pizza_owner")
}

// Help names every owner whose migrations can be taken back.
func TestHelpNamesAllOwners(t *testing.T) {
	t.Parallel()
	text := strings.Join(strings.Fields(program{}.mustRun(t, []string{"--help"})), " ")
	if want := "take back one migration, of " + ownerNames() + ";"; !strings.Contains(text, want) {
		t.Errorf("help does not say %q", want)
	}
}

// A schema newer than the program is not called up to date, and the program
// rolls back no migration that it does not know.
func TestSchemaNewerThanTheProgram(t *testing.T) {
	t.Parallel()
	admin, migrator := database(t)
	admin.mustRun(t, []string{"roles"})
	migrator.mustRun(t, []string{"up"})
	conn, err := pgurl.Connect(t.Context(), admin["DATABASE_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, owner := range []string{"menu", "order"} {
		if _, err := conn.Exec(t.Context(), "INSERT INTO schema_version_"+owner+" (version_id, is_applied) VALUES (99001, true)"); err != nil {
			t.Fatal(err)
		}
	}
	migrator.mustRun(t, []string{"status"}, "order   99001    (of a newer program)", ", 0 pending; the schema is newer than this program by 2 migrations")
	text := migrator.mustRun(t, []string{"status", "--json"}, `"version": 99001`)
	if strings.Contains(text, "(of a newer") {
		t.Errorf("the JSON has text for people: %s", text)
	}
	stdout := migrator.mustRun(t, []string{"up"},
		"nothing to apply: the schema is newer than this program; the grants are left as they are")
	if strings.Contains(stdout, "up to date") {
		t.Errorf("up says %q", stdout)
	}
	for _, args := range [][]string{{"down", "--yes"}, {"down", "order", "--yes"}} {
		if stdout, _, err := migrator.run(t, args...); err == nil || !strings.Contains(err.Error(), "newer than this program") {
			t.Errorf("%v: %q, %v", args, stdout, err)
		}
	}
	migrator.mustRun(t, []string{"down", "login", "--yes"}, "rolled back  login  ")
}

// TestLibpqVariablesDoNotCount: variables for psql neither break migrate nor
// redirect it, regardless of how the database is named.
func TestLibpqVariablesDoNotCount(t *testing.T) {
	admin, migrator := database(t)
	for name, value := range map[string]string{
		"PGSERVICE": "work", "PGHOST": "192.0.2.1", "PGSSLMODE": "verify-full", "PGOPTIONS": "-c search_path=elsewhere",
		"PGTARGETSESSIONATTRS": "standby", "PGSSLROOTCERT": "/nowhere", "PGTZ": "Mars/Base", "PGCONNECT_TIMEOUT": "soon",
	} {
		t.Setenv(name, value)
	}
	admin.mustRun(t, []string{"roles"}, "are in place")
	migrator.mustRun(t, []string{"up"}, "the schema is up to date, after ")
}

func TestForgetMember(t *testing.T) {
	t.Parallel()
	admin, migrator := database(t)
	admin.mustRun(t, []string{"roles"})
	migrator.mustRun(t, []string{"up"})
	migrator.mustRun(t, []string{"seed"})
	for name, args := range map[string][]string{
		"the id of the member is missing": {"forget-member", "--yes"},
		"confirm with --yes":              {"forget-member", migrations.DemoMember},
		`unexpected argument "lee"`:       {"forget-member", "kim", "lee", "--yes"},
	} {
		if _, _, err := migrator.run(t, args...); !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", args, err)
		}
	}
	migrator.mustRun(t, []string{"forget-member", "--yes", "nobody"}, "no data found for this member")
	migrator.mustRun(t, []string{"forget-member", migrations.DemoMember, "--yes"}, "member           1     deleted", "member forgotten")
	migrator.mustRun(t, []string{"forget-member", migrations.DemoMember, "--yes"}, "no data found for this member")
	migrator.mustRun(t, []string{"seed"}, "member       0")
}

func TestSeedOfBrokenHistory(t *testing.T) {
	t.Parallel()
	admin, migrator := database(t)
	admin.mustRun(t, []string{"roles"})
	migrator.mustRun(t, []string{"up"})
	_, _, err := migrator.run(t, "seed", "--history", t.TempDir())
	if exitStatus(err) != 2 || !strings.Contains(err.Error(), "load the history (nothing was loaded): neither orders.csv.gz") {
		t.Error(err)
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"up", "--help"}} {
		program{}.mustRun(t, args, "migrate preflight [--json]", "migrate roles", "migrate up",
			"migrate down [OWNER] --yes", "migrate status [--json]", "migrate seed [--history DIR]", "migrate passwords --yes", "migrate forget-member ID --yes")
	}
}

// The license requires its notice in all copies, and the image has the menu.
func TestLicence(t *testing.T) {
	t.Parallel()
	program{}.mustRun(t, []string{"licence"}, "MIT License", "Copyright (c) 2022-2026 Posit Software, PBC", "shall be included in all")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "a command is missing; see migrate --help"},
		{[]string{"sideways"}, `unknown command "sideways"; see migrate --help`},
		{[]string{"up", "now"}, `up: unexpected argument "now"; see migrate --help`},
		{[]string{"up", "--fast"}, "up: flag provided but not defined: -fast; see migrate --help"},
		{[]string{"roles", "x"}, `roles: unexpected argument "x"; see migrate --help`},
		{[]string{"status", "--json=perhaps"}, `status: invalid boolean value "perhaps" for -json: parse error; see migrate --help`},
		{[]string{"down"}, "down: this deletes everything that the migration added, with its data; confirm with --yes; see migrate --help"},
		{[]string{"down", "kitchen", "--yes"}, `down: "kitchen" is not an owner: want events, login, menu or order; see migrate --help`},
		{[]string{"passwords"}, "passwords: the old system logs nobody in any more whose password is hashed; look with --dry-run, confirm with --yes; see migrate --help"},
		{[]string{"passwords", "--yes", "now"}, `passwords: unexpected argument "now"; see migrate --help`},
		{[]string{"seed", "--history"}, "seed: flag needs an argument: -history; see migrate --help"},
	} {
		t.Run(strings.Join(test.args, "_"), func(t *testing.T) {
			t.Parallel()
			_, _, err := program{}.run(t, test.args...)
			if !errors.As(err, new(usageError)) {
				t.Fatalf("%v is no usage error", err)
			}
			if status := exitStatus(err); status != 2 {
				t.Errorf("exit status %d", status)
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// All invalid variables are reported at once, without their values.
func TestWrongConfiguration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, command string
		env           program
		want          []string
	}{
		{"nothing", "up", program{}, []string{
			"DB_HOST is required, or DATABASE_URL", "DB_NAME is required", "DB_PASSWORD is required", "DB_USER is required",
		}},
		{"all_of_seed", "seed", program{
			"DB_HOST": "h", "DB_NAME": "n", "DB_USER": "u", "DB_PASSWORD": "s3cret",
			"DB_PORT": "70000", "DB_SSLMODE": "s3cret", "SHOP_TIMEZONE": "s3cret",
		}, []string{
			"DB_PORT must be a whole number from 1 to 65535",
			"DB_SSLMODE must be disable, allow, prefer, require, verify-ca or verify-full",
			`SHOP_TIMEZONE must be an IANA time zone, such as "Asia/Seoul"`,
		}},
		{"hashing", "passwords --yes", program{
			"DATABASE_URL": "postgres://u:s3cret@h/d", "PASSWORD_MEMORY_KIB": "1024", "PASSWORD_PASSES": "11", "PASSWORD_HASHES": "-1",
		}, []string{
			"PASSWORD_HASHES must be a whole number", "PASSWORD_MEMORY_KIB must be a whole number from 7168 to 65536",
			"PASSWORD_PASSES must be a whole number from 1 to 10",
		}},
		{"hashing_too_cheap", "passwords --yes", program{
			"DATABASE_URL": "postgres://u:s3cret@h/d", "PASSWORD_MEMORY_KIB": "7168", "PASSWORD_PASSES": "2",
		}, []string{"PASSWORD_MEMORY_KIB must be from 19456 to 65536 with that many passes"}},
		{"connections", "roles", program{
			"DATABASE_URL":      "postgres://u:s3cret@h/d",
			"LOGIN_CONNECTIONS": "-1", "MENU_CONNECTIONS": "some", "ORDER_CONNECTIONS": "262144",
			"MIGRATOR_DB_PASSWORD": "s3cret", "LOGIN_DB_PASSWORD": "s3cret",
			"MENU_DB_PASSWORD": "", "ORDER_DB_PASSWORD": "aكلمةb\u00a0c",
		}, []string{
			"LOGIN_CONNECTIONS must be a whole number from 0 to 262143",
			"MENU_CONNECTIONS must be a whole number from 0 to 262143",
			"MENU_DB_PASSWORD must not be empty", "ORDER_CONNECTIONS must be a whole number from 0 to 262143",
			"ORDER_DB_PASSWORD: " + pgurl.ErrPassword.Error(),
		}},
		{"address", "status", program{"DATABASE_URL": "s3cret"}, []string{"DATABASE_URL must be postgres://user:password@host:port/database"}},
		{"passwords", "roles", program{"DATABASE_URL": "postgres://u:s3cret@h/d", "LOGIN_DB_PASSWORD": "s3cret"}, []string{
			"MENU_DB_PASSWORD is required", "MIGRATOR_DB_PASSWORD is required", "ORDER_DB_PASSWORD is required",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := test.env.run(t, strings.Fields(test.command)...)
			want := "invalid configuration:\n  - " + strings.Join(test.want, "\n  - ")
			if status := exitStatus(err); status != 2 {
				t.Fatalf("exit status %d: %v", status, err)
			}
			if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoDatabaseThere(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{{"up"}, {"status"}, {"seed"}, {"down", "--yes"}, {"roles"}, {"passwords", "--yes"}, {"passwords", "--dry-run"}} {
		p := program{"DATABASE_URL": "postgres://u:s3cret@127.0.0.1:1/d"}
		for _, role := range []string{"MIGRATOR", "LOGIN", "MENU", "ORDER"} {
			p[role+"_DB_PASSWORD"] = "s3cret"
		}
		_, _, err := p.run(t, command...)
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v: %v", command, err)
		}
	}
}
