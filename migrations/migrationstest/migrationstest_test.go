package migrationstest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDatabase(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		make func(testing.TB) *migrationstest.Database
		rows int
	}{
		{"empty", migrationstest.New, 0},
		{"seeded", migrationstest.NewSeeded, 96},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := test.make(t)
			if n := count(t, d.URL("menu_svc"), "pizza"); n != test.rows {
				t.Errorf("%d pizzas, want %d", n, test.rows)
			}
			for role, table := range map[string]string{
				"": "pizza", "postgres": "pizza", "migrator": "", "login_svc": "member", "order_svc": "branch",
			} {
				conn := connect(t, d.URL(role))
				var user string
				if err := conn.QueryRow(t.Context(), "SELECT current_user").Scan(&user); err != nil {
					t.Fatal(err)
				}
				if want := role; user != want && role != "" {
					t.Errorf("URL(%q) connects as %s", role, user)
				}
				if table != "" {
					count(t, d.URL(role), table)
				}
			}
			var temporary bool
			if err := connect(t, d.URL("menu_svc")).QueryRow(t.Context(),
				"SELECT has_database_privilege(current_database(), 'TEMPORARY')").Scan(&temporary); err != nil || temporary {
				t.Errorf("a service may make temporary tables (%v)", err)
			}
		})
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func count(t *testing.T, dsn, table string) (n int) {
	t.Helper()
	err := connect(t, dsn).QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
