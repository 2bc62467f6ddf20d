package app_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/apitest"
	"example.com/pizza/pkg/pgtest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// holdBranch locks the branch, so that orders wait in the middle of their
// statement, until release.
func holdBranch(t *testing.T, db *migrationstest.Database) (release func()) {
	t.Helper()
	holder := admin(t, db)
	do := func(sql string) {
		t.Helper()
		if _, err := holder.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	do("BEGIN")
	do("SELECT FROM branch WHERE bran_id = 'BRANCH001' FOR UPDATE")
	return func() { t.Helper(); do("COMMIT") }
}

// patient starts a service that lets an order wait for the branch.
func patient(t *testing.T, db *migrationstest.Database, menuURL string) *service {
	t.Helper()
	c := app.Config{DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menuURL, Timeout: 2 * time.Second}}
	c.DB.StatementTimeout, c.HTTP.RequestTimeout = 0, time.Minute
	return startWith(t, c)
}

// keeping waits until an order waits in its statement, and returns the process of
// the database that keeps it.
func keeping(t *testing.T, conn *pgx.Conn) (pid int) {
	t.Helper()
	eventually(t, "an order waits in its statement", func() bool {
		return conn.QueryRow(t.Context(), `
			SELECT pid FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%InsertOrder%'`).Scan(&pid) == nil
	})
	return pid
}

// While an order is being kept, others with its key are told to come back, at
// once; then they get its answer. The branch is locked by someone else, so the
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

// The key alone keeps a second order out, whoever writes it: here one that
// asks nobody, while the order is on its way and after every look-up. The order
// waits for it, and is answered for or placed, as that ends.
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

// A connection that breaks before the commit leaves nothing, not even the key.
func TestOrderCutOffBeforeTheCommit(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := patient(t, db, startMenu(t, db))
	conn := admin(t, db)
	bearer := s.as(t, "ada")
	release := holdBranch(t, db)
	var first apitest.Answer
	var inWork sync.WaitGroup
	inWork.Go(func() { first = s.orderOnce(t, bearer, bbq) })
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend($1)", keeping(t, conn)); err != nil {
		t.Fatal(err)
	}
	inWork.Wait()
	release()
	apitest.Decode[problem.Problem](t, first, http.StatusServiceUnavailable)
	mustHave(t, conn, 0, 0)
	mustBeFirst(t, s.orderOnce(t, bearer, bbq))
	mustHave(t, conn, 1, 1)
}

// A connection that breaks between the commit and the database's word of it is
// the case that keys are for: the order is there, and nobody was told. The
// service finds it by its key; whoever asks again gets the same.
func TestOrderCutOffAfterTheCommit(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	menu := startMenu(t, db)
	direct := pgtest.Config(t, db.URL("order_svc"))
	cutter := &cutter{to: net.JoinHostPort(direct.Host, strconv.Itoa(int(direct.Port)))}
	through := direct
	through.Host, through.Port = cutter.listen(t)
	s := startWith(t, app.Config{DB: through, Menu: menuclient.Config{BaseURL: menu, Timeout: 2 * time.Second}})
	conn := admin(t, db)
	bearer := s.as(t, "ada")

	cutter.armed.Store(true)
	again := s.orderOnce(t, bearer, bbq)
	if cutter.armed.Load() {
		t.Fatal("nothing was cut: this proves nothing")
	}
	mustHave(t, conn, 1, 1)
	mustRepeat(t, s.orderOnce(t, bearer, bbq), again)
	mustHave(t, conn, 1, 1)

	// Without a key the service cannot know, and says so.
	cutter.armed.Store(true)
	apitest.Decode[problem.Problem](t, s.order(t, bearer, bbq), http.StatusServiceUnavailable)
	mustHave(t, conn, 2, 1)
}

// cutter passes connections on to a PostgreSQL server. Armed, it cuts the one
// that next keeps an order, when the server has said that it is done.
type cutter struct {
	to    string
	armed atomic.Bool
}

// listen returns where the cutter listens until the test ends.
func (c *cutter) listen(t *testing.T) (host string, port uint16) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", c.to)
			if err != nil {
				t.Error(err)
				client.Close()
				return
			}
			hangUp := func() { client.Close(); server.Close() }
			var keeps atomic.Bool
			all.Go(func() { defer hangUp(); c.ask(server, client, &keeps) })
			all.Go(func() { defer hangUp(); c.answer(client, server, &keeps) })
		}
	})
	return "127.0.0.1", uint16(l.Addr().(*net.TCPAddr).Port)
}

// ask passes on what the service says, and notes when that is an order to keep:
// nothing else has this type of event in it.
func (c *cutter) ask(server io.Writer, client io.Reader, keeps *atomic.Bool) {
	var said []byte // since the cutter was armed
	pass(server, client, func(part []byte) bool {
		if c.armed.Load() {
			said = append(said, part...)
			keeps.Store(bytes.Contains(said, []byte("order.created")))
		}
		return true
	})
}

// answer passes on what the server says, but of an order to keep only until it
// is kept: the server is ready for the next (message Z, with no transaction open)
// after the commit.
func (c *cutter) answer(client io.Writer, server io.Reader, keeps *atomic.Bool) {
	pass(client, server, func(part []byte) bool {
		if keeps.Load() && bytes.HasSuffix(part, []byte("Z\x00\x00\x00\x05I")) {
			c.armed.Store(false)
			return false
		}
		return true
	})
}

// pass copies until one side hangs up or what was read may not go on.
func pass(to io.Writer, from io.Reader, may func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !may(buffer[:n]) {
			return
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// eventually waits until ok holds. How long it takes decides nothing.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: ", what)
		}
	}
}
