package takeover_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

func mustFind(t *testing.T, conn *pgx.Conn, wants ...finding) {
	t.Helper()
	r := preflight(t, conn)
	for _, want := range wants {
		if !slices.ContainsFunc(findings(r), func(f finding) bool {
			return f.Level == want.Level && f.Check == want.Check && strings.HasPrefix(f.Object, want.Object)
		}) {
			t.Errorf("no %+v: %+v", want, r.Findings)
		}
	}
}

// A server that is busy, small or a standby.
func TestPreflightOfServers(t *testing.T) {
	t.Parallel()
	settings := pgserver.TestSettings()
	settings["max_connections"] = "20"
	settings["max_prepared_transactions"] = "1"
	primary, standby := pgtest.Pair(t, settings)
	conn := connect(t, primary.URL("postgres"))
	exec(t, conn, "CREATE TABLE member (member_id varchar(100) PRIMARY KEY, member_pwd varchar(100), member_nm varchar(100))")
	open := connect(t, primary.URL("postgres"))
	exec(t, open, "BEGIN; SELECT count(*) FROM member")
	exec(t, connect(t, primary.URL("postgres")), "BEGIN; DELETE FROM member; PREPARE TRANSACTION 'left'")
	for old := false; !old; {
		const age = `SELECT bool_or(xact_start < now() - interval '11 s'), pg_sleep(0.5)::text
			FROM pg_stat_activity WHERE state = 'idle in transaction'`
		if err := conn.QueryRow(t.Context(), age).Scan(&old, nil); err != nil {
			t.Fatal(err)
		}
	}
	mustFind(t, conn,
		finding{Level: takeover.Warn, Check: "long-transaction", Object: "process "},
		finding{Level: takeover.Warn, Check: "prepared-transaction", Object: "server"},
		finding{Level: takeover.Warn, Check: "connections", Object: "server"})
	replica := connect(t, standby.URL("postgres"))
	for arrived := false; !arrived; {
		if err := replica.QueryRow(t.Context(), "SELECT to_regclass('member') IS NOT NULL").Scan(&arrived); err != nil {
			t.Fatal(err)
		}
	}
	mustFind(t, replica, finding{Level: takeover.Stop, Check: "standby", Object: "server"})
}

func TestPreflightOfAnotherEncoding(t *testing.T) {
	t.Parallel()
	admin := connect(t, pgtest.Empty(t))
	name := admin.Config().Database + "_latin"
	exec(t, admin, "CREATE DATABASE "+name+" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	c := admin.Config().Copy()
	c.Database = name
	conn, err := pgx.ConnectConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	mustFind(t, conn, finding{Level: takeover.Stop, Check: "encoding", Object: "database"})
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	exec(t, admin, "DROP DATABASE "+name)
}

// A table that is locked, and one that the role cannot read, are reported, and the
// others are examined.
func TestPreflightOfTablesOutOfReach(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	admin := connect(t, old.DSN)
	exec(t, admin, "ALTER TABLE branch OWNER TO postgres; REVOKE ALL ON branch FROM monolith")
	exec(t, admin, "BEGIN; LOCK TABLE member")
	mustFind(t, connect(t, old.Monolith),
		finding{Level: takeover.Stop, Check: "permission", Object: "branch"},
		finding{Level: takeover.Warn, Check: "not-examined", Object: "member"},
		finding{Level: takeover.Warn, Check: "duplicate-name", Object: "pizza_types.pizza_nm"})
}

// No such server is at hand: a function of the database says that this is one.
func TestPreflightOfAnOldServer(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Empty(t))
	exec(t, conn, `CREATE SCHEMA old;
		CREATE FUNCTION old.current_setting(name text) RETURNS text LANGUAGE sql AS $$
			SELECT CASE name WHEN 'server_version_num' THEN '120022' WHEN 'server_version' THEN '12.22'
				ELSE pg_catalog.current_setting(name) END
		$$;
		SET search_path = old, pg_catalog, public`)
	mustFind(t, conn, finding{Level: takeover.Stop, Check: "server-version", Object: "server"})
}
