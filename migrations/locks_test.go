package migrations_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

// sql/locks.gen.csv has the strongest lock that each migration takes on each table of
// the old system; UPDATE_LOCKS=1 writes it anew. No statement under a lock that stops
// writers reads the table, so none holds it for longer when the table grows.
func TestLocks(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	if err := migrations.ApplyRoles(t.Context(), old.DSN, migrationstest.Passwords()); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, as(t, old.DSN, "migrator"))
	exec(t, conn, "SET ROLE pizza_owner; SET search_path = public; SET row_security = off")
	got := "migration,table,lock\n"
	for _, owner := range migrations.Owners() {
		paths, err := filepath.Glob(filepath.Join("sql", string(owner), "*.sql"))
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(paths)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			strongest := map[string]int{}
			for _, statement := range upStatements(string(text)) {
				for table, mode := range locksOf(t, conn, path, statement) {
					strongest[table] = max(strongest[table], slices.Index(lockModes, mode))
				}
			}
			for _, table := range oldTables() {
				if mode := lockModes[strongest[table]]; strongest[table] >= slices.Index(lockModes, "SHARE UPDATE EXCLUSIVE") {
					got += fmt.Sprintf("%s/%s,%s,%s\n", owner, strings.TrimSuffix(filepath.Base(path), ".sql"), table, mode)
				}
			}
		}
	}
	const file = "sql/locks.gen.csv"
	if os.Getenv("UPDATE_LOCKS") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), got); diff != "" {
		t.Errorf("%s is outdated; UPDATE_LOCKS=1 writes it: %s", file, diff)
	}
}

// lockModes lists the modes of table locks from weak to strong.
var lockModes = []string{
	"", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE",
	"SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
}

// upStatements returns the statements of a migration that are committed together:
// everything, or one at a time where the file says NO TRANSACTION.
func upStatements(text string) []string {
	_, up, _ := strings.Cut(text, "-- +goose Up\n")
	up, _, _ = strings.Cut(up, "-- +goose Down")
	if !strings.Contains(text, "+goose NO TRANSACTION") {
		return []string{up}
	}
	var list []string
	for len(strings.TrimSpace(up)) > 0 {
		var block string
		if before, after, found := strings.Cut(up, "-- +goose StatementBegin"); found && strings.TrimSpace(before) == "" {
			block, up, _ = strings.Cut(after, "-- +goose StatementEnd")
		} else {
			block, up, _ = strings.Cut(up, ";\n")
		}
		list = append(list, block)
	}
	return list
}

var concurrently = regexp.MustCompile(`(?s)CREATE INDEX CONCURRENTLY \w+\s+ON (\w+)`)

// locksOf runs a statement and returns the strongest lock that it took on each table.
func locksOf(t *testing.T, conn *pgx.Conn, path, statement string) map[string]string {
	t.Helper()
	if strings.Contains(statement, " CONCURRENTLY ") { // in no transaction, so nobody can look before its end
		exec(t, conn, statement)
		if m := concurrently.FindStringSubmatch(statement); m != nil {
			return map[string]string{m[1]: "SHARE UPDATE EXCLUSIVE"}
		}
		return nil
	}
	locks := map[string]string{}
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		before, err := rowsRead(t.Context(), tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(context.Background(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		after, err := rowsRead(t.Context(), tx)
		if err != nil {
			return err
		}
		rows, err := tx.Query(t.Context(), `
			SELECT relname, upper(regexp_replace(replace(mode, 'Lock', ''), '(?<=[a-z])([A-Z])', ' \1', 'g'))
			FROM pg_locks l JOIN pg_class c ON c.oid = relation
			WHERE pid = pg_backend_pid() AND relname = ANY($1)`, oldTables())
		if err != nil {
			return err
		}
		var table, mode string
		_, err = pgx.ForEachRow(rows, []any{&table, &mode}, func() error {
			i := slices.Index(lockModes, mode)
			if i < 0 {
				return fmt.Errorf("unknown mode %q", mode)
			}
			if i > slices.Index(lockModes, locks[table]) {
				locks[table] = mode
			}
			if read := after[table] - before[table]; i >= slices.Index(lockModes, "SHARE") && read > 0 {
				t.Errorf("%s reads %d rows of %s under %s", path, read, table, mode)
			}
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return locks
}

// rowsRead returns how many rows the session has read one after the other, by table. It
// includes transactions before this one.
func rowsRead(ctx context.Context, tx pgx.Tx) (map[string]int64, error) {
	rows, err := tx.Query(ctx, "SELECT relname, seq_tup_read FROM pg_stat_xact_user_tables")
	if err != nil {
		return nil, err
	}
	read := map[string]int64{}
	var table string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error { read[table] = n; return nil })
	return read, err
}
