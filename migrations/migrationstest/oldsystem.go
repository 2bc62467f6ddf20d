package migrationstest

import (
	"context"
	_ "embed" // for oldSystemSQL
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgtest"
)

//go:embed old_system.sql
var oldSystemSQL string

// OldSystem is a database that the old system owns and has filled, before roles and
// migrations.
type OldSystem struct {
	DSN      string // as the superuser
	Monolith string // as the role of the old system
}

// IntegerIDs are the replacements that give the orders numbers.
func IntegerIDs() []string { return []string{"order_id VARCHAR(50)", "order_id INTEGER"} }

// OldTables returns the SQL that creates the old system's tables without rows, after
// pairs of replacements.
func OldTables(replacements ...string) string {
	script, _, _ := strings.Cut(strings.NewReplacer(replacements...).Replace(oldSystemSQL), "INSERT INTO")
	return script
}

// NewOldSystem returns a new database of the old system. Pairs of replacements change
// the script that makes it (old_system.sql).
func NewOldSystem(tb testing.TB, replacements ...string) OldSystem {
	tb.Helper()
	dsn := pgtest.Empty(tb)
	u, err := url.Parse(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	u.User = url.UserPassword("monolith", password)
	s := OldSystem{dsn, u.String()}
	// Roles are shared by the whole server; another test may be creating this one.
	run(tb, s.DSN, `DO $$
		BEGIN
			CREATE ROLE monolith LOGIN PASSWORD '`+password+`';
		EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
		END $$;
		DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO monolith', current_database()); END $$`)
	run(tb, s.Monolith, strings.NewReplacer(replacements...).Replace(oldSystemSQL))
	return s
}

func run(tb testing.TB, dsn, script string) {
	tb.Helper()
	conn, err := pgurl.Connect(tb.Context(), dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(tb.Context(), script, pgx.QueryExecModeSimpleProtocol); err != nil {
		tb.Fatal(err)
	}
}
