package app_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
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

// Wherever an order is stuck, a client disconnect and the request deadline each
// cancel it all the way down. All other timeouts are longer than any test.
func TestOrderEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(*testing.T, time.Duration) stuckOrder{
		"at_a_slow_menu":          atSlowMenu,
		"in_the_database_of_menu": inDatabaseOfMenu,
		"in_the_own_database":     inOwnDatabase,
		"in_the_queue":            inQueue,
	} {
		t.Run(name+"/client_goes_away", func(t *testing.T) {
			t.Parallel()
			o := place(t, time.Hour)
			goAway := o.send(t, "ada")
			o.stuck()
			goAway()
			o.ended()
			mustHave(t, o.conn, 0, 0)
		})
		t.Run(name+"/deadline", func(t *testing.T) {
			t.Parallel()
			o := place(t, time.Second)
			a := o.order(t, o.as(t, "ada"), bbq)
			apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
			if a.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			o.ended()
			mustHave(t, o.conn, 0, 0)
		})
	}
}

// stuckOrder is a service whose next order gets stuck. stuck waits until it is.
// ended waits until it no longer is, and then removes the obstacle, so that an
// order that is still running would be placed.
type stuckOrder struct {
	*service
	conn         *pgx.Conn
	stuck, ended func()
}

// send sends an order that must not be placed, and retries it when it is
// rejected, until the client goes away.
func (s *service) send(t *testing.T, memberID string) (goAway func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	header := append(member(s.as(t, memberID)), "Content-Type", "application/json")
	var sent sync.WaitGroup
	sent.Go(func() {
		for ctx.Err() == nil {
			a, err := s.Send(ctx, http.MethodPost, "/order/", bbq, header...)
			if err == nil && a.Status != http.StatusServiceUnavailable || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%d %v", a.Status, err)
				return
			}
		}
	})
	goAway = func() { cancel(); sent.Wait() }
	t.Cleanup(goAway)
	return goAway
}

// endless starts an order service whose only timeout is that of the request.
func endless(t *testing.T, db *migrationstest.Database, menuURL string, requestTimeout time.Duration) *service {
	t.Helper()
	c := app.Config{
		DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menuURL, Timeout: time.Hour},
		Admission: app.Admission{Concurrency: 1, Queue: 1, Wait: time.Hour},
	}
	c.DB.StatementTimeout, c.HTTP.RequestTimeout = 0, requestTimeout
	return startWith(t, c)
}

// silentMenu starts a menu that never responds, and counts waiting requests.
func silentMenu(t *testing.T) (url string, waiting *atomic.Int64) {
	t.Helper()
	waiting = new(atomic.Int64)
	return stubMenu(t, func(_ http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		defer waiting.Add(-1)
		<-r.Context().Done()
	}), waiting
}

func atSlowMenu(t *testing.T, requestTimeout time.Duration) stuckOrder {
	t.Helper()
	db := migrationstest.NewSeeded(t)
	menu, waiting := silentMenu(t)
	return stuckOrder{
		endless(t, db, menu, requestTimeout), admin(t, db),
		func() { eventually(t, "menu is asked", func() bool { return waiting.Load() == 1 }) },
		func() { eventually(t, "menu knows that nobody waits", func() bool { return waiting.Load() == 0 }) },
	}
}

// inDatabaseOfMenu blocks the query with which the real menu checks that its
// prices are current.
func inDatabaseOfMenu(t *testing.T, requestTimeout time.Duration) stuckOrder {
	t.Helper()
	db := migrationstest.NewSeeded(t)
	menu := startMenu(t, db, "REQUEST_TIMEOUT=1h", "DB_STATEMENT_TIMEOUT=0s")
	return stuckInDatabase(t, db, "menu_svc", endless(t, db, menu, requestTimeout), "LOCK TABLE catalog_version IN ACCESS EXCLUSIVE MODE")
}

// inOwnDatabase blocks the statement that stores the order.
func inOwnDatabase(t *testing.T, requestTimeout time.Duration) stuckOrder {
	t.Helper()
	db := migrationstest.NewSeeded(t)
	s := endless(t, db, startMenu(t, db), requestTimeout)
	return stuckInDatabase(t, db, "order_svc", s, "SELECT FROM branch WHERE bran_id = 'BRANCH001' FOR UPDATE")
}

// stuckInDatabase blocks the statements of a role with a lock.
func stuckInDatabase(t *testing.T, db *migrationstest.Database, role string, s *service, lock string) stuckOrder {
	t.Helper()
	conn := admin(t, db)
	release := hold(t, db, lock)
	count := func(which string) (n int) {
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = $1 AND "+which, role).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return stuckOrder{
		s, conn,
		func() {
			eventually(t, "a statement is held", func() bool { return count("wait_event_type = 'Lock'") == 1 })
		},
		func() {
			eventually(t, "the database has dropped the statement", func() bool { return count("state = 'active'") == 0 })
			release()
		},
	}
}

// inQueue keeps another order in progress.
func inQueue(t *testing.T, requestTimeout time.Duration) stuckOrder {
	t.Helper()
	db := migrationstest.NewSeeded(t)
	menu, waiting := silentMenu(t)
	s := endless(t, db, menu, requestTimeout)
	other := s.send(t, "bob")
	eventually(t, "the other order is in work", func() bool { return waiting.Load() == 1 })
	return stuckOrder{
		s, admin(t, db),
		func() { eventually(t, "the order is queued", func() bool { return s.gate(t, "queued") == 1 }) },
		func() {
			eventually(t, "the place in the queue is free", func() bool { return s.gate(t, "queued") == 0 })
			other()
		},
	}
}
