package system

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/deploy/local/internal/gateway"
	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/migrations"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

const poll = 10 * time.Millisecond

// TestOutage runs a stack on an external server (DATABASE_URL), so that the test
// can stop it.
func TestOutage(t *testing.T) {
	t.Parallel()
	data := pgtest.Folder(t)
	server := startServer(t, data, 0)
	address, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, stack.Options{
		DatabaseURL: address.String(), RestartAfter: time.Hour, // stopped services stay down
		Environ: []string{"DB_STATEMENT_TIMEOUT=60s", "REQUEST_TIMEOUT=60s", "SHUTDOWN_TIMEOUT=60s"}, // the test delays an order for an arbitrary time
	})
	token := s.member(t, "patient")
	restart := func() { startServer(t, data, port) }
	t.Run("the database goes away and comes back", func(t *testing.T) { s.testDatabaseGone(t, token, server, restart) })
	t.Run("SIGTERM with an order in flight", func(t *testing.T) { s.testOrderInFlight(t, token) })
}

// startServer starts a PostgreSQL server that runs until t ends or it is
// stopped.
func startServer(t *testing.T, data string, port int) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Options{
		DataDir: data + "/postgres", Port: port, Log: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func (s *system) testDatabaseGone(t *testing.T, token string, server *pgserver.Server, restart func()) {
	branch := s.branch(t)
	order := js(t, object{"branchId": branch, "lines": []object{{"pizza_id": "hawaiian_s", "quantity": 1}}})
	pids := map[string]int{}
	for _, service := range s.Services() {
		pids[service.Name] = service.Process().PID()
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}

	t.Run("every call that needs it is 503", func(t *testing.T) { s.wantNoDatabase(t, token, order) })
	t.Run("every service is alive and ready", func(t *testing.T) {
		for _, service := range s.Services() {
			public := "http://" + service.Public
			s.sendTo(t, public, request{method: http.MethodGet, path: "/livez"}).want(t, http.StatusOK)
			s.sendTo(t, public, request{method: http.MethodGet, path: "/healthz"}).want(t, http.StatusOK)
		}
		select {
		case err := <-s.Failed():
			t.Fatal(err)
		default:
		}
	})
	// After the load balancer's readiness checks, the services must still answer.
	t.Run("every call that needs it is still 503", func(t *testing.T) {
		select {
		case <-time.After(gateway.UnreadyAfter):
		case <-t.Context().Done():
		}
		s.wantNoDatabase(t, token, order)
	})
	t.Run("it recovers by itself", func(t *testing.T) {
		restart()
		for _, service := range s.Services() {
			if service.Process().PID() != pids[service.Name] {
				t.Errorf("%s is another process", service.Name)
			}
		}
		s.again(t, request{method: http.MethodPost, path: "/login/", media: mediaJSON, body: `{"id":"patient","pw":"` + password + `"}`}).want(t, http.StatusOK)
		s.again(t, request{method: http.MethodPost, path: "/order/", token: token, media: mediaJSON, body: order}).want(t, http.StatusCreated)
		s.postJSON(t, "/menu/get_pizza_id/", "", `{"pizza_nm":"The Hawaiian Pizza","size":"M"}`).want(t, http.StatusOK)
		a := s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: token})
		rows := decode[[]orderRow](t, a.want(t, http.StatusOK))
		if len(rows) != 1 {
			t.Errorf("%d rows, want the one order that was confirmed", len(rows))
		}
	})
}

// wantNoDatabase checks the responses that clients get without the database.
func (s *system) wantNoDatabase(t *testing.T, token, order string) {
	t.Helper()
	for _, r := range []request{
		{method: http.MethodPost, path: "/login/", media: mediaJSON, body: `{"id":"patient","pw":"` + password + `"}`},
		{method: http.MethodPost, path: "/login/register/", media: mediaJSON, body: `{"id":"late","pw":"` + password + `","name":"x"}`},
		{method: http.MethodPost, path: "/order/", token: token, media: mediaJSON, body: order},
		{method: http.MethodGet, path: "/order/myorder/", token: token},
		{method: http.MethodGet, path: "/order/branch/"},
	} {
		a := s.send(t, r)
		p := a.wantProblem(t, http.StatusServiceUnavailable)
		if a.header.Get("Retry-After") == "" || p.Detail != "the database is unavailable; try again" {
			t.Errorf("%s: Retry-After %q, detail %q", a.name(), a.header.Get("Retry-After"), p.Detail)
		}
	}
	// The menu is served from the cache.
	if got := len(decode[[]object](t, s.get(t, "/menu/").want(t, http.StatusOK))); got != 96 {
		t.Errorf("the menu has %d pizzas, want 96", got)
	}
	s.postJSON(t, "/menu/get_pizza_id/", "", `{"pizza_nm":"The Hawaiian Pizza","size":"M"}`).want(t, http.StatusOK)
	// Checks that need no database still work.
	s.postJSON(t, "/login/", "", `{}`).wantProblem(t, http.StatusBadRequest)
	s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: "x"}).wantProblem(t, http.StatusUnauthorized)
}

// again repeats a request until the status is not 503.
func (s *system) again(t *testing.T, r request) answer {
	t.Helper()
	for {
		if a := s.send(t, r); a.status != http.StatusServiceUnavailable {
			return a
		}
		wait(t)
	}
}

// wait pauses between two checks of a polling loop.
func wait(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(poll):
	case <-t.Context().Done():
		t.Fatal("the test ended first")
	}
}

// testOrderInFlight blocks an order inside its transaction, by a lock on its
// branch, while the service is told to stop.
func (s *system) testOrderInFlight(t *testing.T, token string) {
	const branch = migrations.DemoBranch
	holder, watcher := s.database(t), s.database(t)
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	}()
	if _, err := tx.Exec(t.Context(), "SELECT 1 FROM branch WHERE bran_id = $1 FOR UPDATE", branch); err != nil {
		t.Fatal(err)
	}

	type result struct {
		answer answer
		err    error
	}
	placed := make(chan result, 1)
	go func() {
		a, err := s.try(t.Context(), s.URL(), request{
			method: http.MethodPost, path: "/order/", token: token, media: mediaJSON,
			body: `{"branchId":"` + branch + `","lines":[{"pizza_id":"bbq_ckn_l","quantity":3}]}`,
		})
		placed <- result{a, err}
	}()
	for scalar[int](t, watcher, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'order_svc' AND wait_event_type = 'Lock'") == 0 {
		wait(t)
	}
	service := s.Service("order")
	if err := service.Process().Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.logs.wait(t, "order", "stopping")
	select {
	case r := <-placed:
		t.Fatalf("the order was answered while it was held: %d %s, %v", r.answer.status, r.answer.body, r.err)
	default:
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}

	r := <-placed
	if r.err != nil {
		t.Fatal(r.err)
	}
	id := decode[placedOrder](t, r.answer.want(t, http.StatusCreated)).OrderID
	<-service.Process().Done()
	if err := service.Process().Err(); err != nil {
		t.Errorf("the service ended with %v, want exit status 0", err)
	}
	if got := scalar[int](t, watcher, "SELECT sum(quantity) FROM orders JOIN order_detail USING (order_id) WHERE order_id = $1", id); got != 3 {
		t.Errorf("quantity %d is stored, want 3", got)
	}
	s.logs.wait(t, "stack", "service exited unexpectedly")
	s.get(t, "/order/branch/").wantProblem(t, http.StatusServiceUnavailable)
	s.get(t, "/menu/").want(t, http.StatusOK)
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}
