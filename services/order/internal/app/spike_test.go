package app_test

import (
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// narrow starts a service that places three orders at a time, with all but one
// of its database connections, and lets ten wait as long as it takes.
func narrow(t *testing.T, db *migrationstest.Database, menuURL string) *service {
	t.Helper()
	c := app.Config{
		DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menuURL, Timeout: time.Minute},
		Admission: app.Admission{Concurrency: 3, Queue: 10, Wait: 50 * time.Second},
	}
	c.DB.MaxConns, c.DB.StatementTimeout, c.HTTP.RequestTimeout = 4, 0, time.Minute
	return startWith(t, c)
}

// gate reads an admission metric.
func (s *service) gate(t *testing.T, name string) int {
	t.Helper()
	return int(s.metric(t, "order_admission_"+name))
}

// Wherever orders get stuck, those in progress and in the queue stay, and all
// others are rejected at once. Reads and repeats of a placed order are
// unaffected. Admitted orders are placed in the end; the others leave nothing
// behind.
func TestSpikeWhileOrdersAreStuck(t *testing.T) {
	t.Parallel()
	const posts, let = 500, 3 + 10
	for name, hold := range map[string]func(*testing.T, *migrationstest.Database) (menuURL string, stick, release func()){
		"in_the_database": func(t *testing.T, db *migrationstest.Database) (string, func(), func()) {
			var release func()
			menu := stubMenu(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, bbqCatalog) })
			return menu, func() { release = holdBranch(t, db) }, func() { release() }
		},
		"at_the_menu": func(t *testing.T, _ *migrationstest.Database) (string, func(), func()) {
			var stuck atomic.Bool
			released := make(chan struct{})
			menu := stubMenu(t, func(w http.ResponseWriter, r *http.Request) {
				if stuck.Load() {
					select {
					case <-released:
					case <-r.Context().Done():
					}
				}
				_, _ = io.WriteString(w, bbqCatalog)
			})
			return menu, func() { stuck.Store(true) }, func() { close(released) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := migrationstest.NewSeeded(t)
			menu, stick, release := hold(t, db)
			s := narrow(t, db, menu)
			bearer := s.as(t, "ada")
			first := s.orderOnce(t, bearer, bbq)
			mustBeFirst(t, first)
			placed := apitest.Decode[api.PlacedOrder](t, first, http.StatusCreated)

			stick()
			var spike sync.WaitGroup
			answers := make(chan apitest.Answer, posts)
			for i := range posts {
				token := s.as(t, "member-"+strconv.Itoa(i))
				spike.Go(func() {
					a, err := s.Send(t.Context(), http.MethodPost, "/order/", bbq, append(member(token), "Content-Type", "application/json")...)
					if err != nil {
						t.Error(err)
					}
					answers <- a
				})
			}
			// All requests have arrived before any order proceeds.
			eventually(t, "all but those let in are refused", func() bool { return len(answers) == posts-let })
			if work, queued := s.gate(t, "in_work"), s.gate(t, "queued"); work != 3 || queued != 10 {
				t.Errorf("%d in work, %d queued", work, queued)
			}
			mustBeBusy(t, s.order(t, bearer, bbq))
			mustBeBusy(t, s.order(t, "no token", "no order")) // neither is read
			mustRepeat(t, first, s.orderOnce(t, bearer, bbq))
			for _, path := range []string{"/order/branch/", "/order/myorder/", "/order/" + placed.OrderID + "/", "/healthz"} {
				if a := s.get(t, path, bearer); a.Status != http.StatusOK {
					t.Errorf("%s: %d %s", path, a.Status, a.Body)
				}
			}
			release()
			spike.Wait()
			close(answers)
			conn := admin(t, db)
			if n := balance(t, conn, answers); n != let {
				t.Errorf("%d orders are placed, want %d", n, let)
			}
			mustBeWhole(t, conn)
			mustHave(t, conn, let+1, 1)
			if work, queued := s.gate(t, "in_work"), s.gate(t, "queued"); work != 0 || queued != 0 {
				t.Errorf("in the end %d are in work, %d queued", work, queued)
			}
			if n := s.gate(t, `rejected_total{reason="queue_full"}`); n != posts-let+2 {
				t.Errorf("%d refusals are counted", n)
			}
		})
	}
}

// A spike without stuck orders: how many are admitted depends on timing, but
// the responses and the tables must agree.
func TestSpike(t *testing.T) {
	t.Parallel()
	const posts = 500
	db := migrationstest.NewSeeded(t)
	s := startWith(t, app.Config{
		DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: startMenu(t, db), Timeout: 10 * time.Second},
		Admission: app.Admission{Concurrency: 2, Queue: 20, Wait: 50 * time.Millisecond},
	})
	answers := make(chan apitest.Answer, posts)
	var spike sync.WaitGroup
	for i := range posts {
		token := s.as(t, "member-"+strconv.Itoa(i))
		spike.Go(func() {
			a, err := s.Send(t.Context(), http.MethodPost, "/order/", bbq, append(member(token), "Content-Type", "application/json")...)
			if err != nil {
				t.Error(err)
			}
			answers <- a
		})
	}
	spike.Wait()
	close(answers)
	conn := admin(t, db)
	n := balance(t, conn, answers)
	mustBeWhole(t, conn)
	mustHave(t, conn, n, 0)
	t.Logf("%d of %d orders were placed", n, posts)
	apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "ada"), bbq), http.StatusCreated) // the spike is over
}

// balance checks that the order of every 201 is stored and that every other
// response is a rejection. It returns the number of acknowledged orders.
func balance(t *testing.T, conn *pgx.Conn, answers <-chan apitest.Answer) (acknowledged int) {
	t.Helper()
	ids := map[string]bool{}
	for a := range answers {
		if a.Status == http.StatusCreated {
			ids[apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated).OrderID] = true
			acknowledged++
			continue
		}
		mustBeBusy(t, a)
	}
	rows, _ := conn.Query(t.Context(), "SELECT order_id FROM orders")
	stored, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range stored {
		delete(ids, id)
	}
	if len(ids) > 0 {
		t.Errorf("%d orders were acknowledged and are not there: %v", len(ids), ids)
	}
	return acknowledged
}

// mustBeBusy checks the response of an overloaded service.
func mustBeBusy(t *testing.T, a apitest.Answer) {
	t.Helper()
	p := apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
	if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 || p.Detail != "too many requests at this moment; try again" {
		t.Errorf("Retry-After %q, detail %q", a.Header.Get("Retry-After"), p.Detail)
	}
}

// mustBeWhole checks the tables: every order has lines that add up to its total
// and is announced once, with those lines; every line, announcement and key has
// its order.
func mustBeWhole(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	rows, _ := conn.Query(t.Context(), `
		WITH announced AS MATERIALIZED `+eventsOfOrders+`
		SELECT 'order ' || order_id || ' is not whole' FROM orders o
		WHERE total_price IS DISTINCT FROM (SELECT sum(quantity * unit_price) FROM order_detail d WHERE d.order_id = o.order_id)
		   OR (SELECT count(*) FROM announced e WHERE e.subject = o.order_id) <> 1
		   OR (SELECT jsonb_array_length(e.data::jsonb -> 'lines') FROM announced e WHERE e.subject = o.order_id)
		      <> (SELECT count(*) FROM order_detail d WHERE d.order_id = o.order_id)
		UNION ALL SELECT 'a line of no order: ' || order_id FROM order_detail WHERE order_id NOT IN (SELECT order_id FROM orders)
		UNION ALL SELECT 'announced, and no order: ' || subject FROM announced WHERE subject NOT IN (SELECT order_id FROM orders)
		UNION ALL SELECT 'a key of no order: ' || order_id FROM idempotency_key WHERE order_id NOT IN (SELECT order_id FROM orders)`)
	broken, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range broken {
		t.Error(what)
	}
}
