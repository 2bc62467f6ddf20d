package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// way is a store on a single server connection, so that the next user of the
// connection would see anything left on it.
type way struct {
	*Store
	admin *pgxpool.Pool // sees everything
}

// ways runs a test against the server, as a service reaches it, or, with `make
// pooler-test`, through a PgBouncer with one connection for three of the pool.
func ways(t *testing.T, test func(*testing.T, way)) {
	t.Helper()
	all := map[string]func(*testing.T, string) *pgxpool.Pool{
		"direct":            func(t *testing.T, dsn string) *pgxpool.Pool { return openPool(t, directly(t, dsn, "on"), 1) },
		"direct_unprepared": func(t *testing.T, dsn string) *pgxpool.Pool { return openPool(t, directly(t, dsn, "off"), 1) },
	}
	if pgtest.Pooled() {
		all = map[string]func(*testing.T, string) *pgxpool.Pool{
			"pooler": func(t *testing.T, dsn string) *pgxpool.Pool { return openPool(t, pgtest.Pooler(t, dsn, 1), 3) },
		}
	}
	for name, open := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := migrationstest.NewSeeded(t)
			w := way{NewStore(open(t, db.URL("order_svc")), func() {}), openPool(t, pgtest.Config(t, db.URL("")), 2)}
			// Ada has order a, Bob has order b; quantities identify lines.
			w.exec(t, `
				INSERT INTO orders (order_id, member_id, date, time) VALUES ('a', 'ada', 'd', 't'), ('b', 'bob', 'd', 't')`)
			w.exec(t, `
				INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('a', 'bbq_ckn_s', 1), ('a', 'bbq_ckn_m', 2), ('b', 'bbq_ckn_s', 3)`)
			w.exec(t, `
				INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body)
				VALUES ('ada', 'k', '', 'a', 201, '', '', ''), ('bob', 'k', '', 'b', 201, '', '', '')`)
			test(t, w)
		})
	}
}

func directly(t *testing.T, dsn, prepared string) postgres.Config {
	t.Helper()
	c := pgtest.Config(t, dsn)
	c.Prepared = prepared
	return c
}

func openPool(t *testing.T, c postgres.Config, conns int32) *pgxpool.Pool {
	t.Helper()
	c.MaxConns = conns
	pool, err := postgres.Open(t.Context(), c, "order", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (w way) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := w.admin.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// column returns what a query reads on behalf of a member.
func (w way) column(t *testing.T, memberID, sql string) []string {
	t.Helper()
	rows, err := member{w.pool, as(memberID)}.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return all
}

// counts returns the number of orders, lines, receipts and events.
func (w way) counts(t *testing.T) (n [4]int) {
	t.Helper()
	err := w.admin.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_detail),
		       (SELECT count(*) FROM idempotency_key), (SELECT count(*) FROM order_outbox)`).Scan(&n[0], &n[1], &n[2], &n[3])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// mustBeNobody checks, several times in a row, that a statement that sets no
// member has none and sees no row.
func (w way) mustBeNobody(t *testing.T) {
	t.Helper()
	for range 3 {
		var id string
		var rows int
		err := w.pool.QueryRow(t.Context(), `
			SELECT coalesce(current_setting('pizza.member', true), ''),
			       (SELECT count(*) FROM orders) + (SELECT count(*) FROM order_detail) + (SELECT count(*) FROM idempotency_key)`).Scan(&id, &rows)
		if err != nil {
			t.Fatal(err)
		}
		if id != "" || rows != 0 {
			t.Errorf("the next user of the connection is %q and sees %d rows", id, rows)
		}
	}
}
