package app_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/apitest"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/pgtest"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const secret = "an-order-test-secret-of-32-bytes-or-more"

// buildMenu builds the real menu service once: orders are priced by it, over
// REST, in every test here.
var buildMenu = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "order-test-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "menu")
	out, err := exec.Command("go", "build", "-o", binary, "example.com/pizza/services/menu/cmd/menu").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build menu: %w\n%s", err, out)
	}
	return binary, nil
})

// dbEnv returns the DB_* variables of a role on a test database.
func dbEnv(t *testing.T, dsn string) (env []string, c pg.Config) {
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
	c = pg.Config{
		Host: u.Hostname(), Port: uint16(port), Name: strings.TrimPrefix(u.Path, "/"), User: u.User.Username(), Password: password,
		SSLMode: "disable", MaxConns: 8, ConnectTimeout: 3 * time.Second, StatementTimeout: 5 * time.Second,
	}
	return []string{
		"DB_HOST=" + c.Host, "DB_PORT=" + u.Port(), "DB_NAME=" + c.Name, "DB_USER=" + c.User, "DB_PASSWORD=" + password, "DB_SSLMODE=disable",
	}, c
}

// startMenu runs the menu service as a process of its own, and returns its
// internal address.
func startMenu(t *testing.T, db *migrationstest.Database) string {
	t.Helper()
	binary, err := buildMenu()
	if err != nil {
		t.Fatal(err)
	}
	env, _ := dbEnv(t, db.URL("menu_svc"))
	cmd := exec.Command(binary)
	cmd.Env = append(env, "HTTP_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "SHUTDOWN_DELAY=0s", "JWT_SECRET="+secret)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var drained sync.WaitGroup
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		drained.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("menu: %v\n%s", err, &stderr)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var line struct{ Internal string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Internal != "" {
			drained.Go(func() { _, _ = io.Copy(io.Discard, stdout) })
			return "http://" + line.Internal
		}
	}
	t.Fatalf("menu did not start: %s", &stderr)
	return ""
}

// service is a running order service and a client that holds it to its document.
type service struct {
	url    string
	client *http.Client
	keys   *token.Keys
}

// start starts the order service on a test database, priced by the menu at
// menuURL.
func start(t *testing.T, db *migrationstest.Database, menuURL string) *service {
	t.Helper()
	_, c := dbEnv(t, db.URL("order_svc"))
	return startWith(t, app.Config{
		DB:   c,
		Menu: menuclient.Config{BaseURL: menuURL, Timeout: 2 * time.Second},
	})
}

func startWith(t *testing.T, c app.Config) *service {
	t.Helper()
	c.HTTP = server.Config{RequestTimeout: 10 * time.Second, ShutdownTimeout: 5 * time.Second}
	c.Token, c.Shop = token.Config{Secret: secret}, app.Shop{TimeZone: "Asia/Seoul"}
	a, err := app.New(context.Background(), c, logging.New(logging.Config{Level: slog.LevelError}, t.Output(), "order"))
	if err != nil {
		t.Fatal(err)
	}
	public := httptest.NewServer(a.Server.Public())
	t.Cleanup(func() { public.Close(); a.Close() })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &service{
		url:    public.URL,
		client: &http.Client{Transport: apitest.New(t, transport, api.Document)},
		keys:   token.NewKeys(c.Token, time.Now),
	}
}

// as returns a good token of a member.
func (s *service) as(t *testing.T, memberID string) string {
	t.Helper()
	raw, err := s.keys.Issue(memberID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call sends a request with a Bearer token, unless it is empty.
func (s *service) call(t *testing.T, method, path, bearer, contentType, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
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

func (s *service) get(t *testing.T, path, bearer string) answer {
	t.Helper()
	return s.call(t, http.MethodGet, path, bearer, "", "")
}

func (s *service) order(t *testing.T, bearer, body string) answer {
	t.Helper()
	return s.call(t, http.MethodPost, "/order/", bearer, "application/json", body)
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
