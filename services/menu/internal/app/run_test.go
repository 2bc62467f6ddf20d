package app_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/app"
)

// environment returns the variables of a service on a test database.
func environment(t *testing.T, db *migrationstest.Database, more ...string) []string {
	t.Helper()
	return slices.Concat(pgtest.Environ(t, db.URL("menu_svc")), []string{"HTTP_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0", "SHUTDOWN_DELAY=0s"}, more)
}

func TestRun(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := logtest.New(t, adminToken, string(pgtest.Config(t, db.URL("menu_svc")).Password))
	written, stdout := io.Pipe()
	ended := make(chan error, 1)
	environ := environment(t, db, "ADMIN_TOKEN="+adminToken)
	go func() {
		err := app.Run(ctx, environ, stdout)
		ended <- err
		_ = stdout.CloseWithError(err) // an error of Run ends the wait below
	}()
	lines := bufio.NewScanner(io.TeeReader(written, log))
	var listening struct{ Msg, Public, Internal string }
	for listening.Public == "" && lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &listening); err != nil {
			t.Fatalf("a log line is not JSON: %s", lines.Bytes())
		}
	}
	var drained sync.WaitGroup
	drained.Go(func() { _, _ = io.Copy(log, written) })
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	s := &service{&apitest.Service{Public: "http://" + listening.Public, Internal: "http://" + listening.Internal, Client: &http.Client{Transport: transport}, Log: log}}
	if got := apitest.Decode[[]api.PizzaType](t, s.Get(t, "/menu/types/"), http.StatusOK); len(got) != 32 {
		t.Errorf("%d types", len(got))
	}
	if q, _ := s.quoted(t, "bbq_ckn_l"); q.UnitPrice == nil {
		t.Errorf("quoted %+v", q)
	}
	if a := s.write(t, http.MethodDelete, "/int/menu/types/durian", ""); a.Status != http.StatusNotFound {
		t.Errorf("the admin token is not taken: %d %s", a.Status, a.Body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v", err)
	}
	drained.Wait()
}

func TestRunRefusesItsConfiguration(t *testing.T) {
	t.Parallel()
	err := app.Run(t.Context(), []string{"ADMIN_TOKEN=short-secret", "DB_PORT=x", "LOG_LEVEL=loud", "SNAPSHOT_MAX_STALE=-1s", "CACHE_URL=http://:cache-secret@x"}, io.Discard)
	if err == nil {
		t.Fatal("it runs")
	}
	for _, want := range []string{"ADMIN_TOKEN must be at least 32 bytes long (it has 12), or empty", "DB_HOST is required", "DB_PORT", "LOG_LEVEL", "SNAPSHOT_MAX_STALE must", "CACHE_URL must"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "short-secret") || strings.Contains(err.Error(), "cache-secret") {
		t.Errorf("the error tells the secret: %v", err)
	}
}

// Without its database the service stays alive, serves the menu, returns 503
// for everything else, and recovers automatically.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	options := pgserver.Options{DataDir: dataFolder(t), Settings: pgserver.TestSettings()}
	server, err := pgserver.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	db, err := migrationstest.On(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	exec(t, superuser(t, db), "INSERT INTO pizza_types VALUES ('a', 'A', 'x', 'images/a.png'); INSERT INTO pizza VALUES ('a_l', 'a', 'L', 9.5)")
	options.Port = int(pgtest.Config(t, db.URL("")).Port)
	s := start(t, db)
	requests := map[string]func() apitest.Answer{
		"list":  func() apitest.Answer { return s.Get(t, "/menu/") },
		"types": func() apitest.Answer { return s.Get(t, "/menu/types/", "If-None-Match", "*") },
		"find":  func() apitest.Answer { return s.Post(t, "/menu/get_pizza_id/", asJSON, `{"pizza_nm":"A","size":"L"}`) },
		"quote": func() apitest.Answer { return s.Post(t, "/int/menu/quote", asJSON, quoteOf(1)) },
		"write": func() apitest.Answer {
			return s.write(t, http.MethodPut, "/int/menu/types/a", strings.Replace(durian, "The Durian Pizza", "A", 1))
		},
		"ready": func() apitest.Answer { return s.Get(t, "/healthz") },
	}
	for name, request := range requests {
		if a := request(); a.Status >= 400 {
			t.Fatalf("%s, before: %d %s", name, a.Status, a.Body)
		}
	}
	requests["list"]() // loads the write into memory; an outdated snapshot would not be served
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, request := range requests {
		if name == "list" || name == "types" || name == "find" || name == "ready" {
			continue
		}
		a := request()
		p := apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
		if p.Detail != "the database is unavailable; try again" || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: detail %q, Retry-After %q", name, p.Detail, a.Header.Get("Retry-After"))
		}
	}
	// Readers still get the last menu, and the service stays ready for them.
	for _, name := range []string{"list", "types", "find", "ready"} {
		if a := requests[name](); a.Status >= 400 {
			t.Errorf("%s, without the database: %d %s", name, a.Status, a.Body)
		}
	}
	if a := s.Get(t, "/livez"); a.Status != http.StatusOK {
		t.Errorf("not alive: %d", a.Status)
	}
	again, err := pgserver.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Stop() })
	for name, request := range requests {
		if a := eventually(request); a.Status >= 400 {
			t.Errorf("%s, after: %d %s", name, a.Status, a.Body)
		}
	}
}

// dataFolder returns a folder that every user can reach: PostgreSQL does not
// run as root, and only its owner can open the parent of t.TempDir.
func dataFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "data")
}

// eventually repeats a request while it fails, because the pool may reconnect
// some time after the server is back.
func eventually(request func() apitest.Answer) apitest.Answer {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if a := request(); a.Status < 500 || time.Now().After(deadline) {
			return a
		}
	}
}
