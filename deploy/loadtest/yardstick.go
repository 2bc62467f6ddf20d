package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/testkit/child"
)

const (
	withThree    = "three-orders" // members by the number of their orders
	withHundred  = "hundred-orders"
	startTimeout = 10 * time.Second
	readyPoll    = 5 * time.Millisecond // as that of the stack, which starts the services
)

// server is a running yardstick that answers HTTP.
type server struct {
	*child.Process
	url string
}

// startBare starts the bare server, which is built beside this program.
func (s *system) startBare(ctx context.Context) (*server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return s.startServer(ctx, func(address string) *exec.Cmd {
		return exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(filepath.Dir(program), "bare"), address, s.menuFile())
	})
}

// startNginx starts nginx with the menu as a file. It returns nil if it is not installed.
func (s *system) startNginx(ctx context.Context) (*server, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/nginx") // not in the PATH of every user
	}
	if err != nil {
		return nil, nil //nolint:nilnil,nilerr // the run goes on without it
	}
	folder := filepath.Join(s.folder, "nginx")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	return s.startServer(ctx, func(address string) *exec.Cmd {
		text := fmt.Sprintf(nginxConfig, address, s.menuFile())
		file := filepath.Join(folder, "nginx.conf")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return &exec.Cmd{Err: err}
		}
		return exec.CommandContext(context.WithoutCancel(ctx), program, "-p", folder, "-e", "error.log", "-c", file)
	})
}

const nginxConfig = `daemon off;
pid nginx.pid;
worker_processes auto;
events {}
http {
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    open_file_cache max=10;
    keepalive_requests 1000000;
    server {
        listen %s;
        location = /menu { default_type application/json; alias %s; }
    }
}
`

// startServer starts a server on a free port, and waits until it answers.
func (s *system) startServer(ctx context.Context, command func(address string) *exec.Cmd) (*server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	cmd := command(address)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	started := &server{Process: p, url: "http://" + address}
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		_, err := s.do(limited, get(started.url+"/menu"))
		if err == nil {
			return started, nil
		}
		select {
		case <-p.Done():
			return nil, fmt.Errorf("%s exited: %w\n%s", filepath.Base(cmd.Path), errors.Join(err, p.Err()), out.Bytes())
		case <-limited.Done():
			return nil, errors.Join(fmt.Errorf("%s is not ready: %w", filepath.Base(cmd.Path), err), started.stop())
		case <-time.After(readyPoll):
		}
	}
}

// stop ends the server; it may be nil.
func (s *server) stop() error {
	if s == nil {
		return nil
	}
	if err := s.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-s.Done()
	return nil
}

func (s *system) menuFile() string { return filepath.Join(s.folder, "menu.json") }

// findPgbench returns the path of pgbench, or nothing if it is not installed.
func findPgbench() string {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path
	}
	paths, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil || len(paths) == 0 {
		return ""
	}
	return paths[len(paths)-1]
}

// pgbench runs a script by as many clients as there are connections, as order's role and
// on behalf of a member, and returns the transactions per second.
func (s *system) pgbench(ctx context.Context, script, member string, long time.Duration) (float64, error) {
	address, err := url.Parse(s.AdminDSN())
	if err != nil {
		return 0, err
	}
	file := filepath.Join(s.folder, "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return 0, err
	}
	secret, _ := address.User.Password()
	seconds := max(1, int(long.Round(time.Second).Seconds())) // it takes whole ones
	cmd := exec.CommandContext(ctx, findPgbench(), "--no-vacuum", "--protocol=prepared", "--file="+file,
		"--client="+strconv.Itoa(connections), "--jobs="+strconv.Itoa(min(connections, runtime.NumCPU())),
		"--time="+strconv.Itoa(seconds), address.Path[1:])
	cmd.Env = append(os.Environ(), "PGHOST="+address.Hostname(), "PGPORT="+address.Port(), "PGUSER="+address.User.Username(),
		"PGPASSWORD="+secret, "PGSSLMODE=disable", "PGOPTIONS=-c role=order_svc -c pizza.member="+member)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return readPgbench(string(out))
}

// readPgbench returns the transactions per second of a report. Failed ones, which pgbench
// leaves out of them, are an error.
func readPgbench(report string) (float64, error) {
	if m := regexp.MustCompile(`number of failed transactions: (\d+)`).FindStringSubmatch(report); m != nil && m[1] != "0" {
		return 0, fmt.Errorf("pgbench: %s failed transactions", m[1])
	}
	m := regexp.MustCompile(`(?m)^tps = ([0-9.]+)`).FindStringSubmatch(report)
	if m == nil {
		return 0, fmt.Errorf("pgbench: no tps in the report:\n%s", report)
	}
	return strconv.ParseFloat(m[1], 64)
}

// insertOrder is what any program does to store an order with three lines. The member is
// a setting of the session, so that row-level security costs no further round trip.
func insertOrder() string {
	b := threeLines()
	values := ""
	for i, l := range b.lines {
		if i > 0 {
			values += ", "
		}
		values += fmt.Sprintf("(:id, '%s', %d, 12.50)", l.pizza, l.quantity)
	}
	return `\set id random(1, 9000000000000000000)
BEGIN;
INSERT INTO orders (order_id, member_id, bran_id, date, time, created_at, total_price)
    VALUES (:id, '` + memberWithPgbench + `', 'BRANCH001', '2026-01-31', '12:00:00', now(), 50.00);
INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price) VALUES ` + values + `;
COMMIT;
`
}

// selectOrders has the two statements behind GET /order/myorder/: whether the token was
// revoked, and the first page.
func selectOrders(member string) string {
	return `SELECT EXISTS (SELECT FROM revoked_token WHERE jti = 'none')
    OR EXISTS (SELECT FROM revoked_member WHERE member_id = '` + member + `' AND generation > 0);
WITH page AS (
    SELECT order_id, bran_id, date, time, created_at
    FROM orders
    WHERE member_id = '` + member + `'
    ORDER BY created_at DESC NULLS LAST, date DESC, time DESC, order_id DESC
    LIMIT 101
)
SELECT page.order_id, page.bran_id, page.date, page.time, page.created_at, d.order_detail_id, d.pizza_id, d.quantity, d.unit_price
FROM page
LEFT JOIN order_detail d ON d.order_id = page.order_id
ORDER BY page.created_at DESC NULLS LAST, page.date DESC, page.time DESC, page.order_id DESC, d.order_detail_id
LIMIT 1001;
`
}

// memberWithPgbench is whose orders pgbench stores.
const memberWithPgbench = "pgbench"

// hash returns how many passwords per second the processors hash at the cost of login,
// with nothing around it.
func hash(ctx context.Context, long time.Duration) (float64, error) {
	cost, err := config.Load[password.Cost](os.Environ())
	if err != nil {
		return 0, err
	}
	salt := make([]byte, 16)
	var count atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for time.Since(began) < long && ctx.Err() == nil {
				argon2.IDKey([]byte(secret), salt, cost.Passes, cost.Memory, 1, 32)
				count.Add(1)
			}
		})
	}
	all.Wait()
	return float64(count.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}
