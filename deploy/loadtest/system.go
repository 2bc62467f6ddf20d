package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/migrations"
	"example.com/pizza/pkg/pgurl"
)

const (
	stopTimeout = 30 * time.Second
	// notAgain is the pause before a stopped replica starts again: longer than a run.
	notAgain = 24 * time.Hour
	secret   = "a long password of the load test"
	crowd    = 16 // members who do the same
)

// pizza is an entry of the menu.
type pizza struct {
	ID   string `json:"pizza_id"`
	Name string `json:"pizza_nm"`
	Size string `json:"size"`
}

// system is the system under test, with its members, and the client of all attacks.
type system struct {
	*stack.Stack
	admin   *pgxpool.Pool
	folder  string // deleted by close
	client  *http.Client
	menu    []byte           // the answer to GET /menu/
	pizzas  map[string]pizza // by id
	buyers  []string         // tokens of members who order
	three   []string         // tokens of members with 3 orders
	hundred []string         // tokens of members with 100 orders
}

// start starts the system on free ports, with a new database of default durability, and
// with settings of its server.
func start(ctx context.Context, root string, progress io.Writer, settings map[string]string) (*system, error) {
	folder, err := os.MkdirTemp(diskFolder(), "pizza-bench-")
	if err != nil {
		return nil, err
	}
	s := &system{folder: folder, client: newClient()}
	if err := s.start(ctx, root, progress, settings); err != nil {
		return nil, errors.Join(err, s.close(ctx))
	}
	return s, nil
}

// diskFolder returns a folder for temporary files that is on a disk. The usual one is often
// in memory, where a commit waits for nothing.
func diskFolder() string {
	const kept = "/var/tmp" // across restarts (Filesystem Hierarchy Standard)
	if _, err := os.Stat(kept); err != nil {
		return os.TempDir()
	}
	return kept
}

func (s *system) start(ctx context.Context, root string, progress io.Writer, settings map[string]string) error {
	// If root runs this, PostgreSQL and nginx run under other accounts.
	if err := os.Chmod(s.folder, 0o755); err != nil {
		return err
	}
	var err error
	s.Stack, err = stack.Start(ctx, stack.Options{
		Root: root, DataDir: s.folder, BinDir: filepath.Join(root, ".local", "bench", "bin"), PostgreSQL: settings,
		RestartAfter: notAgain, Progress: progress,
	})
	if err != nil {
		return err
	}
	if s.admin, err = pgurl.NewPool(ctx, s.AdminDSN()); err != nil {
		return err
	}
	if s.menu, err = s.do(ctx, s.browse()); err != nil {
		return err
	}
	var all []pizza
	if err := json.Unmarshal(s.menu, &all); err != nil {
		return fmt.Errorf("read the menu: %w", err)
	}
	s.pizzas = map[string]pizza{}
	for _, p := range all {
		s.pizzas[p.ID] = p
	}
	if s.buyers, err = s.members(ctx, "buyer", 0); err != nil {
		return err
	}
	if s.three, err = s.members(ctx, withThree, 3); err != nil {
		return err
	}
	s.hundred, err = s.members(ctx, withHundred, 100)
	return err
}

// members returns the tokens of a crowd of members with orders. A single one would not
// do, because the service reads for each member one thing at a time.
func (s *system) members(ctx context.Context, name string, orders int) (tokens []string, err error) {
	for i := range crowd {
		token, err := s.member(ctx, fmt.Sprintf("%s-%d", name, i), orders)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// close stops the system, and deletes its data, even after ctx has ended.
func (s *system) close(ctx context.Context) error {
	s.client.CloseIdleConnections()
	if s.admin != nil {
		s.admin.Close()
	}
	var err error
	if s.Stack != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = s.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(s.folder))
}

// url returns the address of a path on a service's own port, past the gateway.
func (s *system) url(service, path string) string {
	return "http://" + s.Service(service).Public + path
}

// member registers a member, logs in, places orders, and returns the token.
func (s *system) member(ctx context.Context, id string, orders int) (token string, err error) {
	credentials := fmt.Sprintf(`{"id":%q,"pw":%q,"name":%[1]q}`, id, secret)
	if _, err := s.do(ctx, request{method: http.MethodPost, url: s.url("login", "/login/register/"), body: credentials}); err != nil {
		return "", err
	}
	body, err := s.do(ctx, s.login(id, secret))
	if err != nil {
		return "", err
	}
	var session struct {
		Token string `json:"token"`
	}
	if err := json.Unmarshal(body, &session); err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	for range orders {
		if _, err := s.do(ctx, s.order(session.Token, threeLines())); err != nil {
			return "", err
		}
	}
	return session.Token, nil
}

// do sends one request, and returns the body of the answer, which must not be a refusal.
func (s *system) do(ctx context.Context, r request) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header = r.target().Header
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.url, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s: status %d: %s", r.method, r.url, resp.StatusCode, body)
	}
	return body, nil
}

// Requests.

func (s *system) browse() request { return get(s.url("menu", "/menu/")) }

func (s *system) lookUp(p pizza) request {
	return request{method: http.MethodPost, url: s.url("menu", "/menu/get_pizza_id/"), body: fmt.Sprintf(`{"pizza_nm":%q,"size":%q}`, p.Name, p.Size)}
}

func (s *system) myOrders(tokens ...string) []request {
	var all []request
	for _, token := range tokens {
		all = append(all, s.lastOrders(token, ""))
	}
	return all
}

func (s *system) lastOrders(token, query string) request {
	return request{method: http.MethodGet, url: s.url("order", "/order/myorder/"+query), token: token}
}

func (s *system) order(token string, b basket) request {
	return request{method: http.MethodPost, url: s.url("order", "/order/"), token: token, body: b.json()}
}

func (s *system) login(id, pw string) request {
	return request{method: http.MethodPost, url: s.url("login", "/login/"), body: fmt.Sprintf(`{"id":%q,"pw":%q}`, id, pw)}
}

func (s *system) demoLogin() request { return s.login(migrations.DemoMember, migrations.DemoPassword) }

// history returns the folder of the past orders.
func history(root string) string { return filepath.Join(root, "migrations", "seed", "history") }

// describe describes the machine of a run; load is its load before.
func (s *system) describe(ctx context.Context, load float64) (Machine, error) {
	m := Machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, CPU: readCPU(), Cores: runtime.NumCPU(),
		Go: runtime.Version(), Load: load,
	}
	err := s.admin.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&m.PostgreSQL)
	return m, err
}
