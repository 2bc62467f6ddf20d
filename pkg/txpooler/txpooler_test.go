package txpooler_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/pgtest"
	"example.com/pizza/pkg/txpooler"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// connect opens a connection that prepares no named statements.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func ask[T any](t *testing.T, q querier, sql string, args ...any) (v T) {
	t.Helper()
	if err := q.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

const backend = "SELECT pg_backend_pid()"

// Clients share connections, one transaction at a time.
func TestTransactions(t *testing.T) {
	t.Parallel()
	dsn := txpooler.Start(t, pgtest.Empty(t), 2)
	a, b := connect(t, dsn), connect(t, dsn)
	if x, y := ask[int](t, a, backend), ask[int](t, a, backend); x == y {
		t.Errorf("two transactions of a client are both on %d of two idle servers", x)
	}
	tx, err := a.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mine := ask[int](t, tx, backend)
	for range 3 {
		if other := ask[int](t, b, backend); other == mine {
			t.Error("another client gets into a transaction")
		}
		if again := ask[int](t, tx, backend); again != mine {
			t.Errorf("a transaction goes from %d to %d", mine, again)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	var seen []int
	for range 2 {
		seen = append(seen, ask[int](t, b, backend))
	}
	if !slices.Contains(seen, mine) {
		t.Errorf("%d is not given back: %v", mine, seen)
	}
}

// What is set for a session is met by another client: whoever tests that nothing
// leaks tests it where it would.
func TestSettingsLeak(t *testing.T) {
	t.Parallel()
	dsn := txpooler.Start(t, pgtest.Empty(t), 1)
	ask[string](t, connect(t, dsn), "SELECT set_config('oven.heat', 'high', false)")
	if heat := ask[string](t, connect(t, dsn), "SELECT current_setting('oven.heat', true)"); heat != "high" {
		t.Errorf("the next client finds %q", heat)
	}
}

// A named statement is on one of the servers only.
func TestNamedStatements(t *testing.T) {
	t.Parallel()
	conn := connect(t, txpooler.Start(t, pgtest.Empty(t), 2))
	if _, err := conn.Prepare(t.Context(), "named", "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	var one int
	err := conn.QueryRow(t.Context(), "named").Scan(&one)
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "26000" { // invalid_sql_statement_name
		t.Errorf("%d, %v", one, err)
	}
}

// A batch is one transaction on one server, however long.
func TestBatch(t *testing.T) {
	t.Parallel()
	conn := connect(t, txpooler.Start(t, pgtest.Empty(t), 2))
	batch := &pgx.Batch{}
	long := strings.Repeat("x", 1<<20)
	batch.Queue("SELECT set_config('oven.heat', $1, true)", long)
	batch.Queue("SELECT current_setting('oven.heat')")
	results := conn.SendBatch(t.Context(), batch)
	if _, err := results.Exec(); err != nil {
		t.Fatal(err)
	}
	var heat string
	if err := results.QueryRow().Scan(&heat); err != nil || heat != long {
		t.Errorf("the second statement finds %d characters: %v", len(heat), err)
	}
	if err := results.Close(); err != nil {
		t.Error(err)
	}
}

// A client that gives up has its statement cancelled, and the server connection
// goes on with the next client.
func TestCancel(t *testing.T) {
	t.Parallel()
	db := pgtest.Empty(t)
	dsn := txpooler.Start(t, db, 1)
	impatient, next, admin := connect(t, dsn), connect(t, dsn), connect(t, db)
	ask[int](t, admin, "SELECT 1 FROM pg_advisory_lock(1)")
	server := ask[int](t, next, backend)
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := impatient.Exec(ctx, "SELECT pg_advisory_lock(1)")
		done <- err
	}()
	for !ask[bool](t, admin, "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = $1 AND NOT granted)", server) {
		continue
	}
	giveUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if now := ask[int](t, next, backend); now != server {
		t.Errorf("the next client is on %d, not %d", now, server)
	}
}

// A client that leaves its transaction leaves nothing of it.
func TestLeave(t *testing.T) {
	t.Parallel()
	dsn := txpooler.Start(t, pgtest.Empty(t), 1)
	rude, next := connect(t, dsn), connect(t, dsn)
	if _, err := rude.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if _, err := rude.Exec(t.Context(), "CREATE TABLE left_over (a int)"); err != nil {
		t.Fatal(err)
	}
	if err := rude.PgConn().Conn().Close(); err != nil {
		t.Fatal(err)
	}
	if ask[bool](t, next, "SELECT to_regclass('left_over') IS NOT NULL") {
		t.Error("the transaction was committed")
	}
}
