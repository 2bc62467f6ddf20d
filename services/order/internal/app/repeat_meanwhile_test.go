package app_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// holdBranch locks the branch until release, so that orders wait in the middle
// of their statement.
func holdBranch(t *testing.T, db *migrationstest.Database) (release func()) {
	t.Helper()
	return hold(t, db, "SELECT FROM branch WHERE bran_id = 'BRANCH001' FOR UPDATE")
}

// hold holds the locks of a statement until release.
func hold(t *testing.T, db *migrationstest.Database, lock string) (release func()) {
	t.Helper()
	holder := admin(t, db)
	do := func(sql string) {
		t.Helper()
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do("BEGIN")
	do(lock)
	return func() { t.Helper(); do("COMMIT") }
}

// patient starts a service in which an order can wait for the branch.
func patient(t *testing.T, db *migrationstest.Database, menuURL string) *service {
	t.Helper()
	c := app.Config{DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menuURL, Timeout: 2 * time.Second}}
	c.DB.StatementTimeout, c.HTTP.RequestTimeout = 0, time.Minute
	return startWith(t, c)
}

// keeping waits until an order is blocked in its statement, and returns the
// process id of its database session.
func keeping(t *testing.T, conn *pgx.Conn) (pid int) {
	t.Helper()
	eventually(t, "an order waits in its statement", func() bool {
		return conn.QueryRow(t.Context(), `
			SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%InsertOrder%'`).Scan(&pid) == nil
	})
	return pid
}

// While an order is being stored, other requests with its key are told at once
// to retry later; then they get its response. The branch is locked, so the
// first request waits in the middle of its statement.
func TestOrderInWork(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	menu := startMenu(t, db)
	here, there := patient(t, db, menu), patient(t, db, menu)
	conn := admin(t, db)
	bearer := here.as(t, "ada")
	other := strings.Replace(bbq, `"quantity":1`, `"quantity":2`, 1)

	release := holdBranch(t, db)
	var first apitest.Answer
	var inWork sync.WaitGroup
	inWork.Go(func() { first = here.orderOnce(t, bearer, bbq) })
	keeping(t, conn)
	for name, s := range map[string]*service{"same_replica": here, "other_replica": there} {
		for _, body := range []string{bbq, other} {
			a := s.orderOnce(t, bearer, body)
			apitest.Decode[problem.Problem](t, a, http.StatusConflict)
			if a.Header.Get("Retry-After") != "1" {
				t.Errorf("%s: Retry-After %q", name, a.Header.Get("Retry-After"))
			}
		}
	}
	release()
	inWork.Wait()
	mustBeFirst(t, first)
	mustRepeat(t, first, here.orderOnce(t, bearer, bbq))
	mustRepeat(t, first, there.orderOnce(t, bearer, bbq))
	apitest.Decode[problem.Problem](t, there.orderOnce(t, bearer, other), http.StatusUnprocessableEntity)
	mustHave(t, conn, 1, 1)
	if got := there.metric(t, `order_idempotency_repeats_total{outcome="in_work"}`); got != 2 {
		t.Errorf("%v orders in work are counted, want 2", got)
	}
}

// A client that retries while its order is being priced is told to retry later,
// and menu is not called again.
func TestOrderIsBeingPriced(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	asked, priced := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := start(t, db, stubMenu(t, func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(asked) })
		<-priced
		_, _ = io.WriteString(w, bbqCatalog)
	}))
	bearer := s.as(t, "ada")
	var first apitest.Answer
	var inWork sync.WaitGroup
	inWork.Go(func() { first = s.orderOnce(t, bearer, bbq) })
	<-asked
	apitest.Decode[problem.Problem](t, s.orderOnce(t, bearer, bbq), http.StatusConflict)
	close(priced)
	inWork.Wait()
	mustBeFirst(t, first)
	mustRepeat(t, first, s.orderOnce(t, bearer, bbq))
	mustHave(t, admin(t, db), 1, 1)
}

// A request that fails after another one with its key has placed the order
// returns that order, so that the client does not believe it has none.
func TestOrderIsPlacedMeanwhile(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	elsewhere := start(t, db, stubMenu(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, bbqCatalog) }))
	for name, answer := range map[string]func(w http.ResponseWriter){
		"menu_fails": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"pizza_gone": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"catalog_version":2,"pizzas":[],"pizza_nms":[]}`)
		},
		"price_changed": func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Replace(bbqCatalog, "20.75", "21", 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			bearer := elsewhere.as(t, name)
			const body = `{"branchId":"BRANCH001","expected_total":20.75,"lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
			var first apitest.Answer
			meanwhile := sync.OnceFunc(func() { first = elsewhere.orderOnce(t, bearer, body) })
			s := start(t, db, stubMenu(t, func(w http.ResponseWriter, _ *http.Request) {
				meanwhile()
				answer(w)
			}))
			again := s.orderOnce(t, bearer, body)
			mustBeFirst(t, first)
			mustRepeat(t, first, again)
		})
	}
	mustHave(t, admin(t, db), 3, 3)
}

// bbqCatalog is the catalog of a menu that sells bbq.
const bbqCatalog = `{"catalog_version":1,"pizzas":[{"pizza_id":"bbq_ckn_l","pizza_nm":"B","size":"L","unit_price":20.75}],"pizza_nms":["B"]}`

// The key alone prevents a second order, regardless of who writes it: here a
// separate transaction, after all look-ups for the order. The order waits for
// that transaction, and is then repeated, rejected or placed.
func TestKeyIsKeptMeanwhile(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := patient(t, db, startMenu(t, db))
	conn := admin(t, db)
	first := s.orderOnce(t, s.as(t, "ada"), bbq)
	for i, test := range []struct {
		name, body, end string
		check           func(*testing.T, apitest.Answer)
	}{
		{"and_taken_back", bbq, "ROLLBACK", mustBeFirst},
		{"for_this_order", bbq, "COMMIT", func(t *testing.T, a apitest.Answer) { mustRepeat(t, first, a) }},
		{"for_another_order", strings.Replace(bbq, `"quantity":1`, `"quantity":2`, 1), "COMMIT", func(t *testing.T, a apitest.Answer) {
			apitest.Decode[problem.Problem](t, a, http.StatusUnprocessableEntity)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			writer := admin(t, db)
			for _, sql := range []string{"BEGIN", `
				INSERT INTO idempotency_key (member_id, key, fingerprint, order_id, status, content_type, location, body)
				SELECT '` + test.name + `', key, fingerprint, order_id, status, content_type, location, body
				FROM idempotency_key WHERE member_id = 'ada'`} {
				if _, err := writer.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			var answer apitest.Answer
			var inWork sync.WaitGroup
			inWork.Go(func() { answer = s.orderOnce(t, s.as(t, test.name), test.body) })
			keeping(t, conn)
			if _, err := writer.Exec(t.Context(), test.end); err != nil {
				t.Fatal(err)
			}
			inWork.Wait()
			test.check(t, answer)
			mustHave(t, conn, 2, 2+i)
		})
	}
}

// eventually waits until ok holds, for at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}
