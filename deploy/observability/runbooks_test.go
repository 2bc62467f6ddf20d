package observability_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// queries returns the SQL in the runbooks by runbook name.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := readPage(file, string(text))
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".md")] = p.statements["sql"]
	}
	return all
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

// TestRunbooksFindTheBlocker blocks an order with an abandoned transaction. The
// runbooks' query must list that session first, as the one that blocks the order.
// The advice in the runbooks must unblock the order.
func TestRunbooksFindTheBlocker(t *testing.T) {
	t.Parallel()
	runbooks := 0
	for name, statements := range queries(t) {
		for _, sql := range statements {
			if !strings.Contains(sql, "pg_blocking_pids") {
				continue
			}
			runbooks++
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := migrationstest.New(t)
				person, order, admin := connect(t, db.URL("")), connect(t, db.URL("order_svc")), connect(t, db.URL(""))
				for _, sql := range []string{"BEGIN", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"} {
					if _, err := person.Exec(t.Context(), sql); err != nil {
						t.Fatal(err)
					}
				}
				placed := make(chan error, 1)
				go func() {
					_, err := order.Exec(context.Background(), "SELECT FROM orders")
					placed <- err
				}()
				blocker, waiter := person.PgConn().PID(), order.PgConn().PID()
				for {
					pids, waits := oldest(t, admin, sql, blocker, waiter)
					if len(pids) == 2 && len(waits[waiter]) > 0 {
						if pids[0] != blocker || len(waits[blocker]) > 0 || waits[waiter][0] != blocker {
							t.Errorf("the blocker is %d, the waiter %d; the query gives %v, %v", blocker, waiter, pids, waits)
						}
						break
					}
				}
				text, err := os.ReadFile(filepath.Join("runbooks", name+".md"))
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(text), "`SELECT pg_terminate_backend(<pid>)`") {
					t.Error("it does not say how to end the blocker")
				}
				if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend($1)", int32(blocker)); err != nil {
					t.Fatal(err)
				}
				if err := <-placed; err != nil {
					t.Error(err)
				}
			})
		}
	}
	if runbooks < 3 {
		t.Errorf("%d runbooks have the query", runbooks)
	}
}

// oldest returns which of the sessions the statement lists, in order, and the
// sessions that block each one.
func oldest(t *testing.T, conn *pgx.Conn, sql string, sessions ...uint32) (pids []uint32, waits map[uint32][]uint32) {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	waits = map[uint32][]uint32{}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (none struct{}, err error) {
		values, err := row.Values()
		if err != nil {
			return none, err
		}
		pid, isPID := values[0].(int32)
		blockers, isList := values[4].([]any)
		if !isPID || !isList {
			return none, errors.New("the columns are others")
		}
		for _, session := range sessions {
			if uint32(pid) == session {
				pids = append(pids, session)
				for _, b := range blockers {
					waits[session] = append(waits[session], uint32(b.(int32)))
				}
			}
		}
		return none, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pids, waits
}
