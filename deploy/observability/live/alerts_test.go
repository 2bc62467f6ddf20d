package live

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"

	"example.com/pizza/deploy/local/stack"
)

// TestAlerts injects faults, and checks that the alerts fire and then end with the
// fault.
func TestAlerts(t *testing.T) {
	t.Parallel()
	s := start(t)
	// Background load: one client orders, one reads the menu.
	s.clients(t, 1, s.order)
	s.clients(t, 1, func(ctx context.Context) { s.send(ctx, http.MethodGet, "/menu/", nil, nil) })

	// Watchdog always fires. Its label rules tells it from the Watchdog of kube-prometheus.
	s.await(t, false, "Watchdog ")

	// cause injects a fault until each alert has fired. back reverts the fault.
	cause := func(name string, do func(t *testing.T) (back func()), alerts ...string) {
		t.Run(name, func(t *testing.T) {
			s.await(t, true, alerts...)
			back := do(t)
			s.await(t, false, alerts...)
			back()
			s.await(t, true, alerts...)
		})
	}

	cause("menu does not answer", func(t *testing.T) func() {
		s.signal(t, "menu", syscall.SIGSTOP)
		return func() { s.signal(t, "menu", syscall.SIGCONT) }
	}, "ServiceDown menu", "BreakerOpen order", "PricesFromMemory order")

	cause("the database is stopped", s.stopDatabase,
		"DatabaseUnreachable order", "ServerErrors order",
		"ErrorBudgetBurnsFast order availability", "ErrorBudgetBurnsSteadily order availability", "ErrorBudgetBurnsSlowly order availability")

	cause("somebody locks the orders", func(t *testing.T) func() {
		conn := s.connect(t)
		exec(t, conn, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
		stop := s.clients(t, 10, s.order)
		return func() {
			exec(t, conn, "ROLLBACK")
			stop()
		}
	}, "OrdersRefused order")

	// Orders and reads leave connections for each other, and for the look-ups of keys. All
	// look up their token.
	cause("somebody locks the revoked tokens", func(t *testing.T) func() {
		conn := s.connect(t)
		exec(t, conn, "BEGIN; LOCK TABLE revoked_token IN ACCESS EXCLUSIVE MODE")
		stop := s.clients(t, 20, s.order)
		return func() {
			exec(t, conn, "ROLLBACK")
			stop()
		}
	}, "DatabasePoolExhausted order")

	cause("orders are slow", func(t *testing.T) func() {
		conn := s.connect(t)
		return s.clients(t, 1, func(ctx context.Context) {
			_, _ = conn.Exec(ctx, "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.7); COMMIT") // the alert shows whether it worked
		})
	}, "ErrorBudgetBurnsFast order latency")

	cause("events are not published", func(t *testing.T) func() {
		conn := s.connect(t)
		exec(t, conn, "BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
		return func() { exec(t, conn, "ROLLBACK") }
	}, "OutboxLags order")

	cause("an event is set aside", func(t *testing.T) func() {
		conn := s.connect(t)
		exec(t, conn, "INSERT INTO order_outbox (id, type, subject, data, parked_at) VALUES (gen_random_uuid(), 'order.created', 'x', '{}', now())")
		return func() { exec(t, conn, "DELETE FROM order_outbox WHERE subject = 'x'") }
	}, "EventsParked order")

	cause("everybody logs in", func(t *testing.T) func() {
		return s.clients(t, 12, func(ctx context.Context) { s.post(ctx, "/login/", object{"id": "guest", "pw": password}, nil) })
	}, "LoginsRefused login")

	cause("a file of keys is spoilt", func(t *testing.T) func() {
		write(t, s.previousKeys(), "short")
		return func() { write(t, s.previousKeys(), "") }
	}, "TokenKeysRefused login", "TokenKeysRefused order")

	cause("menu is not scraped any more", func(t *testing.T) func() {
		file := filepath.Join(s.folder, stack.TargetsFile)
		as := func(t *testing.T, job string) {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			after := regexp.MustCompile(`"job": "menu\w*"`).ReplaceAllString(string(before), `"job": "`+job+`"`)
			if after == string(before) {
				t.Fatalf("no target is of menu:\n%s", before)
			}
			write(t, file+".new", after)
			if err := os.Rename(file+".new", file); err != nil { // at once, as the stack does
				t.Fatal(err)
			}
		}
		as(t, "menu_of_others")
		return func() { as(t, "menu") }
	}, "TargetsMissing menu")

	t.Run("every panel shows something", s.testPanels)
}

func (s *system) signal(t *testing.T, service string, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.Service(service).Process().PID(), signal); err != nil {
		t.Fatal(err)
	}
}
