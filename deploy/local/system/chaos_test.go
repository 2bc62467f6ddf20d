package system

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	eventsnats "example.com/pizza/pkg/events/nats"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/testkit/natsserver"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

// TestChaos injects one fault after another while clients order at two replicas,
// and reconciles the orders after each. CHAOS multiplies the rounds of the short
// form (make check STEPS=chaos).
func TestChaos(t *testing.T) {
	t.Parallel()
	times := 1
	if text := os.Getenv("CHAOS"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil || times < 1 {
			t.Fatalf("CHAOS is %q, want a number from 1", text)
		}
	}
	run := func(t *testing.T, outcomes *[]outcome, s *chaos, fault string, rounds int, strike func(t *testing.T, l *load, rounds int)) {
		t.Run(fault, func(t *testing.T) {
			*outcomes = append(*outcomes, s.suffer(t, fault, rounds*times, strike))
		})
	}
	var byPostgres, byNATS, byPair []outcome
	t.Cleanup(func() {
		_, _ = fmt.Fprintf(t.Output(), "\n%s\n", report(slices.Concat(byPostgres, byNATS, byPair)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s := startChaos(t, nil)
		run(t, &byPostgres, s, "order killed with -9", 50, s.killOrder)
		run(t, &byPostgres, s, "connections cut", 20, s.cutConnections)
		run(t, &byPostgres, s, "database restarted", 2, s.restartDatabase)
		run(t, &byPostgres, s, "prices changed", 20, s.changePrices)
		run(t, &byPostgres, s, "menu killed with -9", 5, s.killMenu)
		run(t, &byPostgres, s, "menu silent", 2, s.silenceMenu)
	})
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		brokers, err := natsserver.StartCluster([]string{t.TempDir(), t.TempDir(), t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for _, b := range brokers {
				b.Stop()
			}
		})
		s := startChaos(t, brokers)
		run(t, &byNATS, s, "order killed with -9, by NATS", 20, s.killOrder)
		run(t, &byNATS, s, "NATS restarted", 2, s.restartBrokers)
		run(t, &byNATS, s, "leader of NATS lost", 1, s.loseBroker)
	})
	t.Run("standby", func(t *testing.T) {
		t.Parallel()
		p := startPair(t)
		s := startChaosOn(t, p.url(), nil)
		t.Run("primary killed with -9", func(t *testing.T) {
			byPair = append(byPair, s.suffer(t, "primary killed with -9", 1, p.failOver)) // a pair has one to lose
		})
	})
}

// chaos is a system with two replicas of order, a stoppable database server and
// optionally a cluster of brokers, and a consumer of its events.
type chaos struct {
	*system
	whole    *testing.T // the test around the faults, which owns restarted servers
	replicas []*stack.Service
	pizzas   []string
	server   *pgserver.Server
	data     string
	port     int
	brokers  []*natsserver.Server // none if PostgreSQL carries the events

	mu        sync.Mutex
	announced map[string]map[string]map[string]bool // event ids by member and order
}

func startChaos(t *testing.T, brokers []*natsserver.Server) *chaos {
	t.Helper()
	data := pgtest.Folder(t)
	server := startServer(t, data, 0)
	s := startChaosOn(t, server.URL("postgres"), brokers)
	s.server, s.data, s.port = server, data, portOf(t, server)
	return s
}

func portOf(t *testing.T, server *pgserver.Server) int {
	t.Helper()
	address, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func startChaosOn(t *testing.T, database string, brokers []*natsserver.Server) *chaos {
	t.Helper()
	s := &chaos{whole: t, brokers: brokers, announced: map[string]map[string]map[string]bool{}}
	o := stack.Options{DatabaseURL: database, RestartAfter: 10 * time.Millisecond}
	for i, b := range brokers {
		if i > 0 {
			o.EventsURL += ","
		}
		o.EventsURL += b.URL()
		o.Environ = []string{fmt.Sprint("EVENTS_REPLICAS=", len(brokers))}
	}
	s.system = start(t, o)
	second, err := s.Replica(t.Context(), "order")
	if err != nil {
		t.Fatal(err)
	}
	s.replicas = []*stack.Service{s.Service("order"), second}
	for _, p := range decode[[]struct {
		ID string `json:"pizza_id"`
	}](t, s.get(t, "/menu/").want(t, 200)) {
		s.pizzas = append(s.pizzas, p.ID)
	}
	s.consume(t, append(o.Environ, "EVENTS_URL="+o.EventsURL))
	return s
}

// consume records every announced order until the test ends.
func (s *chaos) consume(t *testing.T, settings []string) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), s.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	c, err := config.Load[connect.Config](settings)
	if err != nil {
		t.Fatal(err)
	}
	consumer := events.Defaults()
	consumer.HandlerTimeout = 2 * time.Second // interrupted deliveries are repeated soon
	from, closeTransport, err := connect.Transport(c, consumer, "books", pool, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), noop.NewTracerProvider())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeTransport)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var done sync.WaitGroup
	t.Cleanup(func() { stop(); done.Wait() })
	done.Go(func() {
		if err := from.Subscribe(ctx, "books", []string{"order.created"}, s.note); err != nil {
			t.Error(err)
		}
	})
}

func (s *chaos) note(_ context.Context, e events.Event) error {
	var o struct {
		Order  string `json:"order_id"`
		Member string `json:"member_id"`
	}
	if err := json.Unmarshal(e.Data, &o); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.announced[o.Member]
	if of == nil {
		of = map[string]map[string]bool{}
		s.announced[o.Member] = of
	}
	if of[o.Order] == nil {
		of[o.Order] = map[string]bool{}
	}
	of[o.Order][e.ID] = true
	return nil
}

// suffer injects a fault while clients order, and then reconciles the orders.
func (s *chaos) suffer(t *testing.T, fault string, rounds int, strike func(t *testing.T, l *load, rounds int)) outcome {
	member := "chaos-" + strconv.FormatUint(rand.Uint64(), 36)
	l := s.order(t, member)
	l.waitFor(t, clients)
	strike(t, l, rounds)
	l.waitFor(t, clients) // the system has recovered
	l.finish()
	for _, b := range l.bad {
		t.Error(b)
	}
	out := outcome{fault: fault, strike: fmt.Sprintf("%d times", rounds), tries: l.tries.Load(), balance: s.books(t, member, l).settle()}
	for _, w := range out.Wrong {
		t.Error(w)
	}
	if out.Acknowledged == 0 {
		t.Error("nothing was ordered")
	}
	return out
}

// patience is the maximum time for the last events. Later ones count as lost.
const patience = 2 * time.Minute

// books returns each side's record of a member's orders, once nothing is in
// flight.
func (s *chaos) books(t *testing.T, member string, l *load) books {
	t.Helper()
	b := books{acknowledged: l.log, stored: map[string]stored{}, announced: map[string]map[string]bool{}}
	rows, err := s.database(t).Query(t.Context(), `
		SELECT o.order_id, o.total_price::text, coalesce(array_agg((d.quantity * d.unit_price)::text) FILTER (WHERE d.order_id IS NOT NULL), '{}')
		FROM orders o LEFT JOIN order_detail d USING (order_id)
		WHERE o.member_id = $1
		GROUP BY o.order_id`, member)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var id, total string
		var lines []string
		if err := rows.Scan(&id, &total, &lines); err != nil {
			t.Fatal(err)
		}
		o := stored{total: money.MustParse(total)}
		for _, l := range lines {
			o.lines = append(o.lines, money.MustParse(l))
		}
		b.stored[id] = o
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); wait(t) {
		s.mu.Lock()
		n := len(s.announced[member])
		s.mu.Unlock()
		if n >= len(b.stored) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, of := range s.announced[member] {
		b.announced[id] = of
	}
	return b
}

// killOrder kills a replica at random moments, including between commit and
// publish.
func (s *chaos) killOrder(t *testing.T, l *load, rounds int) {
	for range rounds {
		l.waitFor(t, 1+rand.Int64N(2*clients))
		s.kill(t, s.replicas[rand.N(len(s.replicas))])
	}
}

// killMenu kills menu, so that orders use cached prices.
func (s *chaos) killMenu(t *testing.T, l *load, rounds int) {
	for range rounds {
		s.kill(t, s.Service("menu"))
		l.waitFor(t, 2*clients)
	}
}

// silenceMenu suspends the menu process, which keeps its connections. Orders
// continue at cached prices.
func (s *chaos) silenceMenu(t *testing.T, l *load, rounds int) {
	menu := s.Service("menu").Process()
	signal := func(to syscall.Signal) {
		if err := menu.Signal(to); err != nil {
			t.Fatal(err)
		}
	}
	defer signal(syscall.SIGCONT)
	for range rounds {
		for s.withoutMenu(t) > 0 { // from the last round or the previous fault
			wait(t)
		}
		signal(syscall.SIGSTOP)
		for s.withoutMenu(t) == 0 {
			wait(t)
		}
		l.waitFor(t, 5*clients)
		signal(syscall.SIGCONT)
		l.waitFor(t, clients)
	}
}

// withoutMenu returns the number of replicas that fall back to cached prices.
func (s *chaos) withoutMenu(t *testing.T) (n int) {
	t.Helper()
	for _, replica := range s.replicas {
		a := s.sendTo(t, "http://"+replica.Internal, request{method: http.MethodGet, path: "/metrics"}).want(t, http.StatusOK)
		n += strings.Count(string(a.body), "\norder_quote_cache_stale 1\n")
	}
	return n
}

// kill kills a process and waits for its exit. The stack restarts it.
func (s *chaos) kill(t *testing.T, service *stack.Service) {
	t.Helper()
	p := service.Process()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
}

// cutConnections terminates the database connections of order and menu.
func (s *chaos) cutConnections(t *testing.T, l *load, rounds int) {
	conn := s.database(t)
	for range rounds {
		if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('order_svc', 'menu_svc')"); err != nil {
			t.Fatal(err)
		}
		l.waitFor(t, 1+rand.Int64N(2*clients))
	}
}

// restartDatabase stops and restarts the server.
func (s *chaos) restartDatabase(t *testing.T, l *load, rounds int) {
	for range rounds {
		if err := s.server.Stop(); err != nil {
			t.Fatal(err)
		}
		for seen := l.tries.Load(); l.tries.Load() < seen+clients; { // some requests arrive during the outage
			wait(t)
		}
		s.server = startServer(s.whole, s.data, s.port)
		l.waitFor(t, 2*clients)
	}
}

// changePrices bypasses the menu service and gives all pizzas the same price,
// different in each round. An order uses the prices of one moment, so all its
// lines have the same price.
func (s *chaos) changePrices(t *testing.T, l *load, rounds int) {
	conn := s.database(t)
	price := func(n int) string { return fmt.Sprintf("%d.50", 100+n) } // above every price on the menu
	for n := range rounds {
		if _, err := conn.Exec(t.Context(), "UPDATE pizza SET price = $1::text::float8", price(n)); err != nil {
			t.Fatal(err)
		}
		l.waitFor(t, 2*clients)
	}
	last := price(rounds - 1)
	for scalar[int](t, conn, "SELECT count(*) FROM order_detail WHERE unit_price = $1::text::numeric", last) == 0 {
		wait(t) // the last price must arrive too
	}
	mixed := scalar[int](t, conn, `
		SELECT count(*) FROM (
			SELECT FROM order_detail GROUP BY order_id
			HAVING max(unit_price) > 100 AND min(unit_price) <> max(unit_price)) mixed`)
	if mixed > 0 {
		t.Errorf("%d orders have prices of several moments", mixed)
	}
}

// restartBrokers shows that orders do not depend on the delivery of events.
func (s *chaos) restartBrokers(t *testing.T, l *load, rounds int) {
	for range rounds {
		for _, b := range s.brokers {
			b.Stop()
		}
		l.waitFor(t, 5*clients)
		for _, b := range s.brokers {
			if err := b.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		l.waitFor(t, clients)
	}
}

// loseBroker stops the broker that takes the events. The last one stays away: its
// cluster has every event without it.
func (s *chaos) loseBroker(t *testing.T, l *load, rounds int) {
	for round := range rounds {
		leader := s.leader(t)
		leader.Stop()
		l.waitFor(t, 5*clients)
		if round < rounds-1 {
			if err := leader.Restart(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// leader waits until the brokers have elected the one that takes the events.
func (s *chaos) leader(t *testing.T) *natsserver.Server {
	t.Helper()
	for ; ; wait(t) {
		for _, b := range s.brokers {
			if b.Leads(eventsnats.Stream) {
				return b
			}
		}
	}
}
