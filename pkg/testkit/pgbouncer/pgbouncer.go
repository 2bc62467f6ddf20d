// Package pgbouncer is a test kit: it starts a PgBouncer between clients and a
// real PostgreSQL server.
//
//	dsn := pgbouncer.Start(t, db.URL("order_svc"), pgbouncer.Options{Servers: 1})
//	client → dsn → one of few server connections, for a transaction → PostgreSQL
//
// PgBouncer is not a Go module, so `make test` must not need this package; only
// `make check STEPS=pooler` does. Without the program, a test fails with a message
// on how to install it.
package pgbouncer

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/child"
)

// Options configure PgBouncer.
type Options struct {
	// Servers is the maximum number of connections to the server.
	Servers int
	// Mode is the pool_mode; empty means transaction.
	Mode string
	// Ignore lists startup parameters to drop instead of rejecting the
	// connection; nil means statement_timeout, as the README advises.
	Ignore []string
	// Query runs on each new connection to the server (connect_query).
	Query string
	// Unprepared turns off support for prepared statements, which PgBouncer has
	// since 1.21.
	Unprepared bool
}

// startTime bounds the start. portTries is the maximum number of ports to try.
const (
	startTime = 10 * time.Second
	portTries = 5
)

// Start starts a PgBouncer in front of the database of dsn, and stops it when the
// test ends. It returns the address. Every client is admitted as the user of dsn.
func Start(tb testing.TB, dsn string, o Options) string {
	tb.Helper()
	program, err := find()
	if err != nil {
		tb.Fatal("pgbouncer:", err)
	}
	target, err := pgurl.Parse(dsn)
	if err != nil {
		tb.Fatal("pgbouncer:", err)
	}
	for try := 1; ; try++ {
		port, err := start(tb, program, target.Config, o)
		if err == nil {
			return (&url.URL{
				Scheme: "postgres", User: url.UserPassword(target.User, target.Password),
				Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), Path: "/" + target.Database, RawQuery: "sslmode=disable",
			}).String()
		}
		if try == portTries || !strings.Contains(err.Error(), "in use") {
			tb.Fatal("pgbouncer:", err)
		}
	}
}

// find returns the path of the program, which Debian installs in /usr/sbin.
func find() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("pgbouncer not found: run tools/packages.sh, or apt-get install pgbouncer")
}

// FollowsPrepared reports whether the program supports prepared statements.
var FollowsPrepared = sync.OnceValues(func() (bool, error) {
	program, err := find()
	if err != nil {
		return false, err
	}
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return false, err
	}
	var major, minor int
	if _, err := fmt.Sscanf(strings.ToLower(string(out)), "pgbouncer %d.%d", &major, &minor); err != nil {
		return false, fmt.Errorf("no version in %q", out)
	}
	return major > 1 || minor >= 21, nil
})

func start(tb testing.TB, path string, target pgconn.Config, o Options) (port int, err error) {
	tb.Helper()
	if port, err = freePort(tb.Context()); err != nil {
		return 0, err
	}
	file, err := configure(tb, target, o, port)
	if err != nil {
		return 0, err
	}
	var log bytes.Buffer
	cmd := exec.Command(path, file) //nolint:noctx // the end of the test kills it
	if os.Geteuid() == 0 {          // it does not run as root
		cmd.Args = append(cmd.Args, "--user="+account())
	}
	cmd.Stdout, cmd.Stderr = &log, &log
	program, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return 0, err
	}
	tb.Cleanup(func() {
		_ = program.Signal(syscall.SIGKILL)
		<-program.Done()
		if tb.Failed() && log.Len() > 0 {
			tb.Logf("the log of pgbouncer:\n%s", withoutPassword(&log))
		}
	})
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		select {
		case <-program.Done():
			return 0, fmt.Errorf("it exited unexpectedly:\n%s", withoutPassword(&log))
		case <-time.After(10 * time.Millisecond):
		}
		if c, err := new(net.Dialer).DialContext(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, c.Close()
		}
	}
	return 0, fmt.Errorf("it does not listen after %s", startTime)
}

func withoutPassword(log *bytes.Buffer) string {
	return regexp.MustCompile(`password=\S+`).ReplaceAllString(log.String(), "")
}

// configure writes pgbouncer.ini where the account that runs it can read it.
func configure(tb testing.TB, target pgconn.Config, o Options, port int) (string, error) {
	tb.Helper()
	if o.Mode == "" {
		o.Mode = "transaction"
	}
	if o.Ignore == nil {
		o.Ignore = []string{"statement_timeout"}
	}
	var b strings.Builder
	query := ""
	if o.Query != "" {
		query = " connect_query='" + o.Query + "'"
	}
	fmt.Fprintf(&b, "[databases]\n%s = host=%s port=%d user=%s password=%s%s\n[pgbouncer]\n",
		target.Database, target.Host, target.Port, target.User, target.Password, query)
	fmt.Fprintf(&b, "listen_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\n", port)
	fmt.Fprintf(&b, "pool_mode = %s\ndefault_pool_size = %d\nmax_client_conn = 500\nquery_wait_timeout = 30\n", o.Mode, o.Servers)
	fmt.Fprintf(&b, "ignore_startup_parameters = %s\n", strings.Join(o.Ignore, ","))
	follows, err := FollowsPrepared()
	if err != nil {
		return "", err
	}
	if follows {
		statements := 200
		if o.Unprepared {
			statements = 0
		}
		fmt.Fprintf(&b, "max_prepared_statements = %d\n", statements)
	}
	dir, err := os.MkdirTemp("", "pgbouncer-") //nolint:usetesting // t.TempDir's parent is closed to other users
	if err != nil {
		return "", err
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return "", err
	}
	if os.Geteuid() != 0 {
		return file, nil
	}
	u, err := user.Lookup(account())
	if err != nil {
		return "", err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return "", err
	}
	for _, path := range []string{dir, file} {
		if err := os.Chown(path, uid, -1); err != nil {
			return "", err
		}
	}
	return file, nil
}

// account returns the user that runs it if we are root.
func account() string {
	if _, err := user.Lookup("postgres"); err == nil {
		return "postgres"
	}
	return "nobody"
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
