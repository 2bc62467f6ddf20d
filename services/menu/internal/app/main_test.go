package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/apitest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/pgtest"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/server"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/app"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	adminToken = "an-admin-token-of-32-bytes-or-more"
	asJSON     = "application/json"
	asForm     = "application/x-www-form-urlencoded"
)

// service is a running menu service, and a client that holds it to its document.
type service struct {
	public   string
	internal string
	client   *http.Client
}

// start starts the service on a test database, with its catalog open to
// adminToken.
func start(t *testing.T, db *migrationstest.Database) *service {
	t.Helper()
	return startWith(t, db, app.Admin{Token: adminToken})
}

func startWith(t *testing.T, db *migrationstest.Database, admin app.Admin) *service {
	t.Helper()
	a, err := app.New(context.Background(), app.Config{
		HTTP:  server.Config{RequestTimeout: 10 * time.Second, ShutdownTimeout: 5 * time.Second},
		DB:    dbConfig(t, db.URL("menu_svc")),
		Admin: admin,
	}, logging.New(logging.Config{Level: slog.LevelError + 1}, t.Output(), "menu"))
	if err != nil {
		t.Fatal(err)
	}
	public, internal := httptest.NewServer(a.Server.Public()), httptest.NewServer(a.Server.Internal())
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		public.Close()
		internal.Close()
		a.Close()
	})
	return &service{
		public: public.URL, internal: internal.URL,
		client: &http.Client{Transport: apitest.New(t, transport, api.Document)},
	}
}

func dbConfig(t *testing.T, dsn string) pg.Config {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return pg.Config{
		Host: u.Hostname(), Port: uint16(port), Name: strings.TrimPrefix(u.Path, "/"), User: u.User.Username(), Password: password,
		SSLMode: "disable", MaxConns: 8, ConnectTimeout: 3 * time.Second, StatementTimeout: 5 * time.Second,
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request to the port where its path belongs. header holds names
// and values in turn.
func (s *service) call(t *testing.T, method, path, body string, header ...string) answer {
	t.Helper()
	base := s.public
	if strings.HasPrefix(path, "/int/") || strings.HasPrefix(path, "/api/int/") {
		base = s.internal
	}
	r, err := http.NewRequestWithContext(t.Context(), method, base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, data}
}

func (s *service) get(t *testing.T, path string, header ...string) answer {
	t.Helper()
	return s.call(t, http.MethodGet, path, "", header...)
}

func (s *service) post(t *testing.T, path, contentType, body string) answer {
	t.Helper()
	return s.call(t, http.MethodPost, path, body, "Content-Type", contentType)
}

// write changes the catalog as the admin.
func (s *service) write(t *testing.T, method, path, body string) answer {
	t.Helper()
	return s.call(t, method, path, body, "Authorization", "Bearer "+adminToken, "Content-Type", asJSON)
}

// decode reads a JSON answer of the wanted status.
func decode[T any](t *testing.T, a answer, status int) T {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return v
}

// superuser connects to a test database past the service.
func superuser(t *testing.T, db *migrationstest.Database) *pgx.Conn {
	t.Helper()
	return connect(t, db.URL(""))
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
