package postgres

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// newOrder returns an order of ada, with one pizza for each id.
func newOrder(id string, pizzas ...string) order.Order {
	price, branch := money.MustParse("12.75"), "BRANCH001"
	o := order.Order{ID: id, MemberID: "ada", BranchID: &branch, Date: "2026-01-01", Time: "12:00:00", Total: &price, Placed: time.Now()}
	for _, p := range pizzas {
		o.Lines = append(o.Lines, order.Line{PizzaID: &p, Quantity: 1, UnitPrice: &price})
	}
	return o
}

// as returns a member with a valid token.
func as(memberID string) order.Caller { return order.Caller{MemberID: memberID, TokenID: "good"} }

func receipt(key, orderID string) idempotency.Receipt {
	return idempotency.Receipt{Key: key, Status: 201, Body: []byte(orderID)}
}

func sqlstate(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// A query without a WHERE reads only the member's rows, and none without a
// member.
func TestWithoutWhere(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, w way) {
		for _, c := range []struct {
			member, sql string
			want        []string
		}{
			{"ada", "SELECT order_id FROM orders", []string{"a"}},
			{"ada", "SELECT quantity::text FROM order_detail ORDER BY 1", []string{"1", "2"}},
			{"ada", "SELECT member_id FROM idempotency_key", []string{"ada"}},
			{"bob", "SELECT order_id FROM orders", []string{"b"}},
			{"bob", "SELECT quantity::text FROM order_detail", []string{"3"}},
			{"ada", "SELECT order_id FROM orders WHERE member_id = 'bob'", nil},
			{"ada", "SELECT order_id FROM orders WHERE order_id = 'b' OR true", []string{"a"}},
			{"", "SELECT order_id FROM orders", nil},
			{"' OR true --", "SELECT order_id FROM orders", nil},
		} {
			if got := w.column(t, c.member, c.sql); !slices.Equal(got, c.want) {
				t.Errorf("%s as %q reads %v, want %v", c.sql, c.member, got, c.want)
			}
		}
		w.mustBeNobody(t)
	})
}

// The store acts on behalf of its member.
func TestStore(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, w way) {
		o := newOrder("n", "bbq_ckn_s", "bbq_ckn_m")
		if err := w.Insert(t.Context(), as("ada"), o, receipt("new", "n")); err != nil {
			t.Fatal(err)
		}
		if n := w.counts(t); n != [4]int{3, 5, 3, 1} {
			t.Errorf("%d orders, lines, receipts and events", n)
		}
		got, err := w.Get(t.Context(), as("ada"), "n")
		if err != nil || len(got.Lines) != 2 {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := w.Get(t.Context(), as("bob"), "n"); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("another member's order: %v", err)
		}
		page, _, err := w.List(t.Context(), as("ada"), nil, 10, 1000)
		if err != nil || len(page) != 2 {
			t.Errorf("%+v, %v", page, err)
		}
		r, found, err := w.Receipt(t.Context(), as("ada"), "new")
		if err != nil || !found || string(r.Body) != "n" {
			t.Errorf("%v %+v, %v", found, r, err)
		}
		if _, found, err := w.Receipt(t.Context(), as("bob"), "new"); found || err != nil {
			t.Errorf("another member's receipt: %v, %v", found, err)
		}
		if branches, err := w.Branches(t.Context()); err != nil || len(branches) == 0 {
			t.Errorf("%v, %v", branches, err)
		}
		w.exec(t, "UPDATE idempotency_key SET created_at = now() - interval '2 days' WHERE key = 'k'")
		if n, err := w.DeleteReceipts(t.Context(), 24*time.Hour, 10); n != 2 || err != nil {
			t.Errorf("%d deleted, of two members: %v", n, err)
		}
		w.mustBeNobody(t)
	})
}

// Nobody can order on behalf of another member, and a rejected statement leaves
// nothing behind.
func TestRowsOfAnotherMember(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, w way) {
		before := w.counts(t)
		for _, c := range []struct{ name, sql string }{
			{"order", "INSERT INTO orders (order_id, member_id, date, time) VALUES ('n', 'bob', 'd', 't')"},
			{"line", "INSERT INTO order_detail (order_id, quantity) VALUES ('b', 1)"},
			{"line_of_no_order", "INSERT INTO order_detail (quantity) VALUES (1)"},
			{"answer", `INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body)
				VALUES ('bob', 'n', '', 'b', 201, '', '', '')`},
			{"own_order_with_the_line_of_another", `WITH placed AS (
					INSERT INTO orders (order_id, member_id, date, time) VALUES ('n', 'ada', 'd', 't') RETURNING order_id
				) INSERT INTO order_detail (order_id, quantity) SELECT order_id, 1 FROM placed UNION ALL SELECT 'b', 1`},
		} {
			if _, err := (member{w.pool, as("ada")}).Exec(t.Context(), c.sql); sqlstate(err) != "42501" {
				t.Errorf("%s: %v", c.name, err)
			}
			w.mustBeNobody(t)
		}
		if after := w.counts(t); after != before {
			t.Errorf("%d orders, lines, receipts and events, were %d", after, before)
		}
	})
}

// The member, the order, its lines, its receipt and its event are one
// transaction: the last reference that fails rolls all of it back.
func TestInsertIsAtomic(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, w way) {
		before := w.counts(t)
		err := w.Insert(t.Context(), as("ada"), newOrder("n", "bbq_ckn_s", "no_such_pizza"), receipt("new", "n"))
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
		if err := w.Insert(t.Context(), as("ada"), newOrder("n", "bbq_ckn_s"), receipt("k", "n")); !errors.Is(err, idempotency.ErrInUse) {
			t.Errorf("a key that is taken: %v", err)
		}
		if after := w.counts(t); after != before {
			t.Errorf("%d orders, lines, receipts and events, were %d", after, before)
		}
		w.mustBeNobody(t)
	})
}

// However a statement ends, the next user of the connection has no member.
func TestMemberDoesNotStay(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, w way) {
		ada := member{w.pool, as("ada")}
		t.Run("error", func(t *testing.T) {
			if _, err := ada.Exec(t.Context(), "SELECT 1/0"); sqlstate(err) != "22012" {
				t.Errorf("%v", err)
			}
			w.mustBeNobody(t)
		})
		t.Run("syntax_error", func(t *testing.T) {
			if err := ada.QueryRow(t.Context(), "SELEKT").Scan(); sqlstate(err) != "42601" {
				t.Errorf("%v", err)
			}
			w.mustBeNobody(t)
		})
		t.Run("error_at_the_end", func(t *testing.T) {
			w.exec(t, "CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED); GRANT ALL ON late TO order_svc; INSERT INTO late VALUES (1)")
			if _, err := ada.Exec(t.Context(), "INSERT INTO late VALUES (1)"); sqlstate(err) != "23505" {
				t.Errorf("%v", err)
			}
			var n int
			if err := ada.QueryRow(t.Context(), "INSERT INTO late VALUES (1) RETURNING a").Scan(&n); sqlstate(err) != "23505" {
				t.Errorf("%v", err)
			}
			w.mustBeNobody(t)
		})
		t.Run("rows_left_unread", func(t *testing.T) {
			rows, err := ada.Query(t.Context(), "SELECT generate_series(1, 100000)")
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			rows.Close()
			if err := rows.Err(); err != nil {
				t.Error(err)
			}
			w.mustBeNobody(t)
		})
		t.Run("no_row", func(t *testing.T) {
			if _, found, err := w.Receipt(t.Context(), as("ada"), "unknown"); found || err != nil {
				t.Errorf("%v, %v", found, err)
			}
			w.mustBeNobody(t)
		})
		t.Run("rolled_back", func(t *testing.T) {
			tx, err := w.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), setMember, ada.args()...); err != nil {
				t.Error(err)
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.mustBeNobody(t)
		})
		t.Run("cancelled_before", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := ada.Query(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			w.mustBeNobody(t)
		})
		t.Run("cancelled_meanwhile", func(t *testing.T) {
			w.cancelMeanwhile(t, ada)
			w.mustBeNobody(t)
		})
	})
}

// cancelMeanwhile cancels a statement while the server runs it.
func (w way) cancelMeanwhile(t *testing.T, m member) {
	t.Helper()
	holder, err := w.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := holder.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	if _, err := holder.Exec(t.Context(), "LOCK TABLE branch IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := m.Exec(ctx, "SELECT FROM branch")
		done <- err
	}()
	for waiting := false; !waiting; {
		const blocked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'branch'::regclass)"
		if err := holder.QueryRow(t.Context(), blocked).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	giveUp()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Setting the member costs no extra round trip.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig(migrationstest.New(t).URL("order_svc"))
	if err != nil {
		t.Fatal(err)
	}
	var trips atomic.Int32
	dial := config.ConnConfig.DialFunc
	config.MaxConns = 1
	config.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return turns{conn, &trips}, err
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	store := NewStore(pool, func() {})
	list := func() {
		if _, _, err := store.List(t.Context(), as("ada"), nil, 10, 1000); err != nil {
			t.Fatal(err)
		}
	}
	list() // connects and prepares
	trips.Store(0)
	list()
	if n := trips.Load(); n != 1 {
		t.Errorf("%d round trips", n)
	}
}

// turns counts writes. pgx sends a batch of this size in one write.
type turns struct {
	net.Conn
	n *atomic.Int32
}

func (c turns) Write(b []byte) (int, error) {
	c.n.Add(1)
	return c.Conn.Write(b)
}
