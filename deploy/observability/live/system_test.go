package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/tool"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
)

const (
	factor   = 1200                   // an hour of the rules is 3 s here
	scrape   = 250 * time.Millisecond // in place of 15 s
	password = "a-good-password"
	patience = 3 * time.Minute // for an alert, on a busy machine
)

// object is JSON to be sent.
type object map[string]any

// system is a running stack with a stoppable database server, monitored by
// Prometheus.
type system struct {
	*stack.Stack
	watch    *prometheus.Server
	web      *http.Client
	folder   string
	database *url.URL
	server   *pgserver.Server
	token    string
}

// previousKeys returns the path in JWT_SECRET_PREVIOUS_FILE. The file starts empty.
func (s *system) previousKeys() string { return filepath.Join(s.folder, "previous-keys") }

func start(t *testing.T) *system {
	t.Helper()
	program, err := tool.Build(t.Context(), "prometheus", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	root, err := tool.Root()
	if err != nil {
		t.Fatal(err)
	}
	s := &system{folder: pgtest.Folder(t), web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second}}
	t.Cleanup(s.web.CloseIdleConnections)
	s.startDatabase(t, 0)
	write(t, s.previousKeys(), "")
	s.Stack, err = stack.Start(t.Context(), stack.Options{
		Root: root, DataDir: s.folder, DatabaseURL: s.database.String(), RestartAfter: time.Hour, Progress: t.Output(),
		Environ: []string{
			"JWT_SECRET_PREVIOUS_FILE=" + s.previousKeys(),
			"BREAKER_MIN_REQUESTS=2", "BREAKER_OPEN_FOR=1s", "ORDER_QUEUE=2", "PASSWORD_HASHES=1", "PASSWORD_QUEUE=1",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop the stack: %v", err)
		}
	})
	s.watch, err = prometheus.Start(t.Context(), prometheus.Options{
		Program: program, Folder: filepath.Join(s.folder, "prometheus"), Targets: filepath.Join(s.folder, stack.TargetsFile),
		Rules: s.fasterRules(t, filepath.Join(root, observability.Rules)), Every: scrape, Address: "127.0.0.1:0", Log: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.watch.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.post(t.Context(), "/login/register/", object{"id": "guest", "pw": password, "name": "Guest"}, nil)
	var session struct{ Token string }
	s.post(t.Context(), "/login/", object{"id": "guest", "pw": password}, &session)
	if s.token = session.Token; s.token == "" {
		t.Fatal("no token")
	}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startDatabase starts or restarts the server.
func (s *system) startDatabase(t *testing.T, port int) {
	t.Helper()
	server, err := pgserver.Start(context.WithoutCancel(t.Context()), pgserver.Options{DataDir: filepath.Join(s.folder, "database"), Port: port, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	if s.database != nil {
		return
	}
	if s.database, err = url.Parse(server.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.server.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// stopDatabase stops the server until again is called.
func (s *system) stopDatabase(t *testing.T) (again func()) {
	t.Helper()
	port, err := strconv.Atoi(s.database.Port())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.server.Stop(); err != nil {
		t.Fatal(err)
	}
	return func() { s.startDatabase(t, port) }
}

// fasterRules writes the rules with shorter times, and returns their file pattern.
func (s *system) fasterRules(t *testing.T, from string) string {
	t.Helper()
	files, err := observability.ReadRules(from)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(s.folder, "rules")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, f := range files {
		fast, err := observability.Faster(f, factor)
		if err != nil {
			t.Fatal(err)
		}
		b, err := yaml.Marshal(fast)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(to, name), string(b))
	}
	return filepath.Join(to, "*.yaml")
}

// connect connects as the superuser.
func (s *system) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone by then
	return conn
}

// exec runs a statement, and fails the test on an error.
func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// post sends JSON, and decodes the response unless into is nil. Errors are ignored:
// Prometheus observes the effects.
func (s *system) post(ctx context.Context, path string, body object, into any) {
	b, err := json.Marshal(body)
	if err != nil {
		return
	}
	s.send(ctx, http.MethodPost, path, b, into)
}

func (s *system) send(ctx context.Context, method, path string, body []byte, into any) {
	q, err := http.NewRequestWithContext(ctx, method, s.URL()+"/api"+path, bytes.NewReader(body))
	if err != nil {
		return
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Authorization", "Bearer "+s.token)
	q.Header.Set("Idempotency-Key", uuid.NewString()) // of an order; other operations ignore it
	r, err := s.web.Do(q)
	if err != nil {
		return
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err == nil && into != nil {
		_ = json.Unmarshal(b, into) // a response that is not JSON leaves it empty
	}
}

// order places one order.
func (s *system) order(ctx context.Context) {
	s.post(ctx, "/order/", object{"branchId": "BRANCH001", "lines": []object{{"pizza_id": "hawaiian_s", "quantity": 1}}}, nil)
}

// clients runs n concurrent clients that repeat do until stop is called.
func (s *system) clients(t *testing.T, n int, do func(context.Context)) (stop func()) {
	t.Helper()
	var enough atomic.Bool
	var done sync.WaitGroup
	pace := time.NewTicker(5 * time.Millisecond) // the clients share the machine with the system
	for range n {
		done.Go(func() {
			for !enough.Load() {
				<-pace.C
				do(t.Context())
			}
		})
	}
	once := sync.OnceFunc(func() {
		enough.Store(true)
		done.Wait()
		pace.Stop()
	})
	t.Cleanup(once)
	return once
}

// firing returns the firing alerts with their services, such as "ServiceDown menu".
// SLO alerts include the objective: "ErrorBudgetBurnsFast order latency".
func (s *system) firing(t *testing.T) map[string]bool {
	t.Helper()
	alerts, err := s.watch.Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, a := range alerts {
		if a.State != "firing" {
			continue
		}
		name := a.Labels["alertname"] + " " + a.Labels["job"]
		if slo := a.Labels["slo"]; slo != "" && a.Labels["alertname"] != "ServerErrors" {
			name += " " + slo
		}
		names[name] = true
	}
	return names
}

// await waits until each of the alerts has fired or, if quiet, until none fires.
func (s *system) await(t *testing.T, quiet bool, alerts ...string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(scrape)
	defer tick.Stop()
	began, seen := time.Now(), map[string]bool{}
	for {
		now, missing := s.firing(t), ""
		for _, a := range alerts {
			if !quiet && now[a] && !seen[a] {
				seen[a] = true
				t.Logf("%-45s fires after %4.1f s", a, time.Since(began).Seconds())
			}
			if quiet && now[a] || !quiet && !seen[a] {
				missing += "\n  " + a
			}
		}
		if missing == "" {
			if quiet {
				t.Logf("all quiet again after %4.1f s", time.Since(began).Seconds())
			}
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal(fmt.Sprintf("after %s, still to be quiet (%t) or to fire:", patience, quiet) + missing)
		}
	}
}
