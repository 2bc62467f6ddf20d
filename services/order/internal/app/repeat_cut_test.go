package app_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

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

// Keys exist for connections that break between the commit and its
// confirmation: the order is stored, but the client does not know. The service
// finds it by its key, and a retry gets the same response.
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

	// Without a key the service cannot know, and returns 503.
	cutter.armed.Store(true)
	apitest.Decode[problem.Problem](t, s.order(t, bearer, bbq), http.StatusServiceUnavailable)
	mustHave(t, conn, 2, 1)
}

// cutter forwards connections to a PostgreSQL server. When armed, it cuts the
// next one that stores an order, between the commit and its confirmation.
type cutter struct {
	to    string
	armed atomic.Bool
}

// listen returns the address on which the cutter listens until the test ends.
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

// ask forwards the service's messages, and notes when one stores an order: only
// then does it contain this event type.
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

// answer forwards the server's messages. If an order is being stored, it stops
// at the message after the commit: ReadyForQuery (Z), with no transaction open.
func (c *cutter) answer(client io.Writer, server io.Reader, keeps *atomic.Bool) {
	pass(client, server, func(part []byte) bool {
		if keeps.Load() && bytes.HasSuffix(part, []byte("Z\x00\x00\x00\x05I")) {
			c.armed.Store(false)
			return false
		}
		return true
	})
}

// pass copies until one side disconnects or may returns false.
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
