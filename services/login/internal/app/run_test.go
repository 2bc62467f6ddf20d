package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/configtest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/app"
)

func TestReadmeListsTheConfiguration(t *testing.T) {
	t.Parallel()
	configtest.Tables(t, "../../../../docs/configuration.md", "login", reflect.TypeFor[app.Config]())
}

// The chart rejects what the service would reject.
func TestChartKnowsTheConfiguration(t *testing.T) {
	configtest.Rules(t, "../../../../helm/settings/login.json", reflect.TypeFor[app.Config]())
}

// A bad configuration stops the service at startup, and the error names every
// wrong variable.
func TestRunRefusesABadConfiguration(t *testing.T) {
	t.Parallel()
	environ := []string{
		"DB_HOST=localhost", "DB_PORT=x", "DB_USER=login_svc", "DB_PASSWORD=", "JWT_SECRET=short", "JWT_ACCESS_TTL_SECONDS=0",
		"PASSWORD_HASHES=-1", "PASSWORD_WAIT=soon", "PASSWORD_UPGRADE=perhaps",
		"PASSWORD_QUEUE=-1", "PASSWORD_MEMORY_KIB=1024", "PASSWORD_MIN_LENGTH=7", "PASSWORD_BLOCKLIST=/nowhere", "PASSWORD_PASSES=0", "LOG_LEVEL=loud",
		"LOGIN_RATE_PER_ACCOUNT=many", "LOGIN_RATE_PER_ADDRESS=10", "LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS=5/x", "REGISTER_RATE_PER_ACCOUNT=-1/m", "REGISTER_RATE_PER_ADDRESS=1/year",
		"TRUSTED_PROXIES=0.0.0.0/0", "CACHE_URL=http://cache", "CACHE_TIMEOUT=0s",
	}
	err := app.Run(t.Context(), environ, &bytes.Buffer{})
	for _, name := range []string{
		"DB_PORT", "DB_NAME", "DB_PASSWORD", "JWT_SECRET", "JWT_ACCESS_TTL_SECONDS", "PASSWORD_HASHES", "PASSWORD_WAIT", "PASSWORD_UPGRADE", "LOG_LEVEL",
		"PASSWORD_QUEUE", "PASSWORD_MEMORY_KIB", "PASSWORD_MIN_LENGTH", "PASSWORD_BLOCKLIST", "PASSWORD_PASSES",
		"LOGIN_RATE_PER_ACCOUNT must", "LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS", "LOGIN_RATE_PER_ADDRESS", "REGISTER_RATE_PER_ACCOUNT", "REGISTER_RATE_PER_ADDRESS", "TRUSTED_PROXIES",
		"CACHE_URL", "CACHE_TIMEOUT",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported:\n%v", name, err)
		}
	}
}

// environment returns the variables of a service on a test database.
func environment(t *testing.T, db *migrationstest.Database, more ...string) []string {
	t.Helper()
	return slices.Concat(pgtest.Environ(t, db.URL("login_svc")), []string{
		"HTTP_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0", "SHUTDOWN_DELAY=0s", "JWT_SECRET=" + secret,
	}, more)
}

func TestRun(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := logtest.New(t, secret, string(pgtest.Config(t, db.URL("login_svc")).Password))
	written, stdout := io.Pipe()
	ended := make(chan error, 1)
	environ := environment(t, db, "JWT_ACCESS_TTL_SECONDS=60", "PASSWORD_WAIT=1m", "REQUEST_TIMEOUT=2m")
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
	s := &service{Service: &apitest.Service{Public: "http://" + listening.Public, Internal: "http://" + listening.Internal, Client: &http.Client{Transport: transport}, Log: log}}
	s.register(t, "minji", "correct horse")
	session := apitest.Decode[api.Session](t, s.tryLogin(t, "minji", "correct horse"), http.StatusOK)
	if session.ExpiresIn != 60 {
		t.Errorf("expires in %d s", session.ExpiresIn)
	}
	apitest.Decode[api.GoodToken](t, s.verify(t, session.Token), http.StatusOK)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopped with %v", err)
	}
	drained.Wait()
}

// The schema version that this build requires is one that the migrations reach.
func TestSchemaVersionExists(t *testing.T) {
	t.Parallel()
	newest := query[int](t, superuser(t, migrationstest.New(t)), "SELECT max(version_id) FROM schema_version_login WHERE is_applied")
	if app.SchemaVersion > newest {
		t.Errorf("this build needs %d, the migrations end at %d", app.SchemaVersion, newest)
	}
}

// Without its database the service stays alive, returns 503, and recovers automatically.
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
	options.Port = int(pgtest.Config(t, db.URL("")).Port)
	s := start(t, db)
	s.register(t, "minji", "correct horse")
	raw := s.login(t, "minji", "correct horse")
	bearer := []string{"Authorization", "Bearer " + raw}
	requests := map[string]func() apitest.Answer{
		"login":  func() apitest.Answer { return s.tryLogin(t, "minji", "correct horse") },
		"nobody": func() apitest.Answer { return s.tryLogin(t, "nobody", "correct horse") },
		"register": func() apitest.Answer {
			return s.Post(t, "/login/register/", asJSON, `{"id":"late","pw":"correct horse","name":"x"}`)
		},
		"password": func() apitest.Answer {
			return s.Post(t, "/login/password/", asJSON, `{"old_pw":"correct horse","new_pw":"battery staple"}`, bearer...)
		},
		"verify":    func() apitest.Answer { return s.verify(t, raw) },
		"authorize": func() apitest.Answer { return s.Get(t, "/int/auth/verify", bearer...) },
		"revoke":    func() apitest.Answer { return s.revoke(t, asJSON, `{"member_id":"minji"}`) },
		// A success would be a lie: the token is still valid.
		"logout": func() apitest.Answer { return s.Get(t, "/login/logout/", bearer...) },
	}
	if a := s.Get(t, "/healthz"); a.Status != http.StatusOK {
		t.Fatalf("not ready: %d %s", a.Status, a.Body)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, request := range requests {
		a := request()
		p := apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
		if p.Detail != "the database is unavailable; try again" || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: detail %q, Retry-After %q", name, p.Detail, a.Header.Get("Retry-After"))
		}
	}
	// Requests that need no database are unaffected.
	for name, test := range map[string]struct {
		answer apitest.Answer
		want   int
	}{
		"alive":                {s.Get(t, "/livez"), 200},
		"ready":                {s.Get(t, "/healthz"), 200}, // clients must get these, not a load balancer's
		"bad_input":            {s.Post(t, "/login/register/", asJSON, `{}`), 400},
		"bad_token":            {s.verify(t, "garbage"), 401},
		"logout_without_token": {s.Get(t, "/login/logout/"), 200},
		"logout_expired_token": {s.Get(t, "/login/logout/", "Authorization", "Bearer "+expired(t, "minji")), 200},
	} {
		if test.answer.Status != test.want {
			t.Errorf("%s: %d, want %d: %s", name, test.answer.Status, test.want, test.answer.Body)
		}
	}
	if server, err = pgserver.Start(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"login", "register", "logout"} {
		if a := eventually(requests[name]); a.Status >= 400 {
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
