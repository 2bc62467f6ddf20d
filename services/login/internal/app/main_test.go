package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/app"
	"example.com/pizza/services/login/internal/hashing"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	secret     = "a-login-test-secret-of-32-bytes-or-more"
	adminToken = "an-admin-token-of-32-bytes-or-more"
	asJSON     = "application/json"
	asForm     = "application/x-www-form-urlencoded"
)

// service is a running login service.
type service struct{ *apitest.Service }

// start starts the service on a test database.
func start(t *testing.T, db *migrationstest.Database) *service {
	t.Helper()
	return startWith(t, db, patient("on"))
}

// cost is the hash cost in tests: a fraction of the recommended work, but above
// that of the outdated hashes.
var cost = password.Cost{Memory: 1024, Passes: 2}

// patient returns a configuration with long waits: under the race detector,
// many hashes compete for few CPUs.
func patient(upgrade string) hashing.Config {
	return hashing.Config{Queue: 1000, Wait: time.Minute, Upgrade: upgrade, Cost: cost}
}

func startWith(t *testing.T, db *migrationstest.Database, h hashing.Config, more ...func(*app.Config)) *service {
	t.Helper()
	c := configure(t, db, h)
	written := logtest.New(t, secret, adminToken, string(c.DB.Password))
	for _, set := range more {
		set(&c)
	}
	return &service{apitest.Serve(t, newApp(t, c, written.Logger("login")).Server, api.Document).Logging(written)}
}

func configure(t *testing.T, db *migrationstest.Database, h hashing.Config) app.Config {
	t.Helper()
	transport, err := config.Load[connect.Config](nil)
	if err != nil {
		t.Fatal(err)
	}
	return app.Config{
		HTTP:     server.Config{RequestTimeout: time.Minute, ShutdownTimeout: 5 * time.Second, Admin: server.Admin{Token: adminToken}},
		DB:       pgtest.Config(t, db.URL("login_svc")),
		Token:    token.Config{Secret: secret},
		Access:   app.Access{TTLSeconds: 3600},
		Password: h,
		Policy:   password.PolicyConfig{MinLength: password.MinLength},

		Events: transport,
	}
}

func newApp(t *testing.T, c app.Config, log *slog.Logger) *app.App {
	t.Helper()
	a, err := app.New(context.Background(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// object returns fields, given as alternating names and values, as JSON.
func object(t *testing.T, fields ...string) string {
	t.Helper()
	m := map[string]string{}
	for i := 0; i < len(fields); i += 2 {
		m[fields[i]] = fields[i+1]
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// register creates a member whose name is its id.
func (s *service) register(t *testing.T, id, pw string) {
	t.Helper()
	a := s.Post(t, "/login/register/", asJSON, object(t, "id", id, "pw", pw, "name", id))
	apitest.Decode[api.Registered](t, a, http.StatusCreated)
}

// tryLogin sends an id and a password.
func (s *service) tryLogin(t *testing.T, id, pw string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/login/", asJSON, object(t, "id", id, "pw", pw))
}

// login returns a new token of a member.
func (s *service) login(t *testing.T, id, pw string) string {
	t.Helper()
	return apitest.Decode[api.Session](t, s.tryLogin(t, id, pw), http.StatusOK).Token
}

// verify checks a token on the internal port.
func (s *service) verify(t *testing.T, raw string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/int/auth/verify", asJSON, object(t, "token", raw))
}

// keysAt returns the service's keys at another time.
func keysAt(now time.Time) *token.Keys {
	return token.NewKeys(token.Config{Secret: secret}, func() time.Time { return now })
}

// expired returns a token that expired an hour ago.
func expired(t *testing.T, memberID string) string {
	t.Helper()
	raw, err := keysAt(time.Now().Add(-2*time.Hour)).Issue(memberID, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// foreign returns a token signed with another key.
func foreign(t *testing.T, memberID string) string {
	t.Helper()
	raw, err := token.NewKeys(token.Config{Secret: "another-secret-of-32-bytes-or-more"}, time.Now).Issue(memberID, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// mustRefuse checks a problem and its fields, given as alternating names and
// rules.
func mustRefuse(t *testing.T, a apitest.Answer, status int, fields ...string) problem.Problem {
	t.Helper()
	p := apitest.Decode[problem.Problem](t, a, status)
	want, got := map[string]string{}, map[string]string{}
	for i := 0; i < len(fields); i += 2 {
		want[fields[i]] = fields[i+1]
	}
	for _, f := range p.Errors {
		got[f.Field] = f.Message
	}
	if diff := cmp.Diff(want, got); diff != "" || len(p.Errors) != len(got) {
		t.Errorf("fields, %d entries:\n%s", len(p.Errors), diff)
	}
	return p
}

// superuser connects to a test database, bypassing the service.
func superuser(t *testing.T, db *migrationstest.Database) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// query returns the single value of a query.
func query[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
