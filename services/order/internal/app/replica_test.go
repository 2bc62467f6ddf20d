package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/faultproxy"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/postgres"
)

// replicated is an order service with a primary, and a streaming standby of it behind
// a proxy.
type replicated struct {
	*service
	db               *migrationstest.Database
	config           pg.Config // of the primary
	primary, standby *pgx.Conn // as superuser
	proxy            *faultproxy.Proxy
	kill             func() error // the standby
}

func startReplicated(t *testing.T) *replicated {
	t.Helper()
	settings := pgserver.TestSettings()
	settings["synchronous_commit"] = "on" // so that each commit is sent at once
	primary, standby := pgtest.Pair(t, settings)
	var err error
	r := &replicated{primary: dial(t, primary.URL("postgres")), kill: standby.Stop}
	r.exec(t, "CREATE DATABASE pizza")
	if r.db, err = migrationstest.On(t.Context(), primary.URL("pizza")); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Seed(t.Context(), r.db.URL("migrator")); err != nil {
		t.Fatal(err)
	}
	r.primary, r.standby = admin(t, r.db), dial(t, standby.URL("postgres"))
	r.catchUp(t)
	r.standby = dial(t, standby.URL("pizza"))
	address, err := url.Parse(standby.URL("pizza"))
	if err != nil {
		t.Fatal(err)
	}
	if r.proxy, err = faultproxy.Listen(address.Host); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	r.config = pgtest.Config(t, r.db.URL("order_svc"))
	r.service = startWith(t, app.Config{
		DB: r.config, Read: postgres.ReplicaConfig{Host: r.proxy.Addr()},
		Menu: menuclient.Config{BaseURL: startMenu(t, r.db), Timeout: 2 * time.Second},
	})
	return r
}

func dial(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) }) // its server may be gone
	return conn
}

// exec runs a statement on the primary.
func (r *replicated) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := r.primary.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// until waits until a query of the standby returns true.
func (r *replicated) until(t *testing.T, sql string, args ...any) {
	t.Helper()
	eventually(t, sql, func() (done bool) {
		if err := r.standby.QueryRow(t.Context(), sql, args...).Scan(&done); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return done
	})
}

// catchUp waits until the standby has all commits of the primary.
func (r *replicated) catchUp(t *testing.T) {
	t.Helper()
	var position string
	if err := r.primary.QueryRow(t.Context(), "SELECT pg_current_wal_flush_lsn()::text").Scan(&position); err != nil {
		t.Fatal(err)
	}
	r.until(t, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", position)
}

// pause holds the standby at its state until resume.
func (r *replicated) pause(t *testing.T) (resume func()) {
	t.Helper()
	if _, err := r.standby.Exec(t.Context(), "SELECT pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	r.until(t, "SELECT pg_get_wal_replay_pause_state() = 'paused'")
	return func() {
		t.Helper()
		if _, err := r.standby.Exec(t.Context(), "SELECT pg_wal_replay_resume()"); err != nil {
			t.Fatal(err)
		}
		r.catchUp(t)
	}
}

// place places an order.
func (r *replicated) place(t *testing.T, bearer string) (id string) {
	t.Helper()
	return apitest.Decode[api.PlacedOrder](t, r.order(t, bearer, bbq), http.StatusCreated).OrderID
}

// read repeats a read until it has had an outcome, because the standby can be slow on
// a busy machine. Every answer must be right.
func (r *replicated) read(t *testing.T, outcome, path, bearer string, mustBeRight func(apitest.Answer)) apitest.Answer {
	t.Helper()
	counter := fmt.Sprintf("order_replica_reads_total{outcome=%q}", outcome)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		before := r.metric(t, counter)
		a := r.get(t, path, bearer)
		mustBeRight(a)
		if r.metric(t, counter) > before {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: no read was %s", path, outcome)
		}
	}
}

// mustList checks that a page has these orders.
func (r *replicated) mustList(t *testing.T, outcome, path, bearer string, want ...string) apitest.Answer {
	t.Helper()
	return r.read(t, outcome, path, bearer, func(a apitest.Answer) {
		t.Helper()
		var got []string
		for _, row := range apitest.Decode[[]api.OrderRow](t, a, http.StatusOK) {
			got = append(got, row.OrderID)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: orders %v, want %v", path, got, want)
		}
	})
}

// mustGet checks the status of one order.
func (r *replicated) mustGet(t *testing.T, outcome, id, bearer string, status int) {
	t.Helper()
	r.read(t, outcome, "/order/"+id+"/", bearer, func(a apitest.Answer) {
		t.Helper()
		if a.Status != status {
			t.Fatalf("order %s: %d %s, want %d", id, a.Status, a.Body, status)
		}
	})
}

// A member reads every order that was acknowledged, whatever the read replica has, and
// does not notice its failure.
func TestReadReplica(t *testing.T) {
	t.Parallel()
	r := startReplicated(t)
	const list = "/order/myorder/"
	ada, bob, eve := r.as(t, "ada"), r.as(t, "bob"), r.as(t, "eve")
	first, bobs := r.place(t, ada), r.place(t, bob)
	var second string
	r.catchUp(t)

	t.Run("served", func(t *testing.T) {
		r.mustList(t, "served", list, ada, first)
		r.mustGet(t, "served", first, ada, http.StatusOK)
		r.mustList(t, "served", list, eve) // has none
		r.mustGet(t, "behind", first, bob, http.StatusNotFound)
	})
	t.Run("row_level_security", func(t *testing.T) {
		pool, err := pg.OpenReplica(t.Context(), r.config, r.proxy.Addr(), "test", prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		var rows int
		if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%d orders without a member: %v", rows, err)
		}
	})
	t.Run("behind", func(t *testing.T) {
		defer r.pause(t)()
		second = r.place(t, ada)
		r.mustList(t, "behind", list, ada, second, first)
		r.mustGet(t, "behind", second, ada, http.StatusOK)
		r.mustGet(t, "served", first, ada, http.StatusOK)
		// This one was committed last, and is not the newest.
		r.exec(t, `WITH placed AS (
			INSERT INTO orders (order_id, member_id, date, time, created_at)
			VALUES ('late', 'bob', '', '', now() - interval '1 day') RETURNING order_id
		) INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT order_id, 'bbq_ckn_s', 1 FROM placed`)
		r.mustList(t, "behind", list, bob, bobs, "late")
		if a := r.mustList(t, "behind", list+"?limit=1", bob, bobs); a.Header.Get("Link") == "" {
			t.Error("there is no next page")
		}
		r.mustList(t, "served", list, eve)
	})
	t.Run("caught_up", func(t *testing.T) {
		r.mustList(t, "served", list, ada, second, first)
		r.mustList(t, "served", list, bob, bobs, "late")
		a := r.mustList(t, "served", list+"?limit=1", ada, second)
		next, _, _ := strings.Cut(strings.TrimPrefix(a.Header.Get("Link"), "<"), ">")
		rows := apitest.Decode[[]api.OrderRow](t, r.get(t, next, ada), http.StatusOK)
		if len(rows) != 1 || rows[0].OrderID != first {
			t.Errorf("the page after the first has %+v", rows)
		}
	})
	t.Run("revoked_token", func(t *testing.T) {
		defer r.pause(t)()
		for _, path := range []string{list, "/order/" + first + "/"} {
			if a := r.get(t, path, r.revoked(t, r.db, "ada")); a.Status != http.StatusUnauthorized {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
		}
	})
	t.Run("slow", func(t *testing.T) {
		// The lock is released on the primary, and the standby does not learn of it.
		r.exec(t, "BEGIN")
		r.exec(t, "LOCK TABLE order_detail IN ACCESS EXCLUSIVE MODE")
		r.revoked(t, r.db, "eve") // a commit, which sends the lock along
		r.until(t, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'order_detail'::regclass AND mode ~ 'AccessExcl')")
		resume := r.pause(t)
		r.exec(t, "ROLLBACK")
		r.mustList(t, "failed", list, ada, second, first)
		r.mustList(t, "skipped", list, ada, second, first)
		resume()
		r.mustList(t, "served", list, ada, second, first)
	})
	for name, fault := range map[string]faultproxy.Fault{"unreachable": faultproxy.Reset, "silent": faultproxy.HalfOpen} {
		t.Run(name, func(t *testing.T) {
			r.proxy.Set(fault)
			r.mustList(t, "failed", list, ada, second, first)
			r.mustGet(t, "failed", first, ada, http.StatusOK)
			r.proxy.Heal()
			r.mustList(t, "served", list, ada, second, first)
		})
	}
	t.Run("of_several_servers", func(t *testing.T) {
		hosts := fmt.Sprintf("%s:%d,%s", r.config.Host, r.config.Port, r.proxy.Addr())
		pool, err := pg.OpenReplica(t.Context(), r.config, hosts, "test", prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		var standby bool
		if err := pool.QueryRow(t.Context(), "SELECT pg_is_in_recovery()").Scan(&standby); err != nil || !standby {
			t.Errorf("a standby is used: %v, %v", standby, err)
		}
	})
	t.Run("killed", func(t *testing.T) {
		if err := r.kill(); err != nil {
			t.Fatal(err)
		}
		r.mustList(t, "failed", list, ada, second, first)
		third := r.place(t, ada)
		r.mustList(t, "skipped", list, ada, third, second, first)
		r.mustGet(t, "failed", third, ada, http.StatusOK)
		if a := r.get(t, "/healthz", ""); a.Status != http.StatusOK {
			t.Errorf("/healthz is %d", a.Status)
		}
	})
	log := r.Log.String()
	lost, back := strings.Count(log, "the read replica does not answer"), strings.Count(log, "from the read replica again")
	if lost != back+1 {
		t.Errorf("the log reports %d failures of the replica, and %d ends", lost, back)
	}
}
