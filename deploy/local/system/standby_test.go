package system

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/testkit/pgserver"
)

// pair is a primary of PostgreSQL and its synchronous standby, each with its own
// data: a commit is acknowledged once both have it on disk.
type pair struct {
	whole   *testing.T // the test that owns the servers
	primary *pgserver.Server
	standby *pgserver.Server
	data    string // of the primary
	port    int    // of the primary
}

func startPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{whole: t, data: folder(t)}
	first := startServer(t, p.data, 0, nil)
	p.port = portOf(t, first)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	data := folder(t)
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", p.data+"/postgres", data).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	follow(t, data)
	address, err := url.Parse(first.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := address.User.Password()
	p.primary, err = pgserver.Start(t.Context(), pgserver.Options{
		DataDir: p.data + "/postgres", Port: p.port, Settings: map[string]string{"synchronous_standby_names": "standby"}, Log: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.primary.Stop() }) // it is killed
	p.standby = startServer(t, data, 0, map[string]string{
		"primary_conninfo": fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=%s application_name=standby", p.port, password),
	})
	return p
}

// follow makes a server start as a standby, which accepts no writes until it is promoted.
func follow(t *testing.T, data string) {
	t.Helper()
	cluster := data + "/postgres/cluster"
	info, err := os.Stat(cluster)
	if err != nil {
		t.Fatal(err)
	}
	signal := filepath.Join(cluster, "standby.signal")
	if err := os.WriteFile(signal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t) // the server's account, which is not root
	if err := os.Chown(signal, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

// url is the address of whichever server accepts writes.
func (p *pair) url() string {
	primary, standby, _ := strings.Cut(p.primary.URL("postgres"), "/postgres?")
	return fmt.Sprintf("%s,127.0.0.1:%d/postgres?%s&target_session_attrs=read-write", primary, portOf(p.whole, p.standby), standby)
}

// failOver kills the primary, promotes the standby, and starts the old primary again as
// its manager would, which is not for writes. Then every connection is made anew.
func (p *pair) failOver(t *testing.T, l *load, _ int) {
	pid, err := os.ReadFile(p.primary.DataDir() + "/cluster/postmaster.pid")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(pid), "\n")
	postmaster, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(postmaster, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.primary.Done()
	for seen := l.tries.Load(); l.tries.Load() < seen+clients; { // some requests arrive during the outage
		wait(t)
	}
	conn := connectTo(t, p.standby)
	if promoted := scalar[bool](t, conn, "SELECT pg_promote(true, 60)"); !promoted {
		t.Fatal("the standby was not promoted")
	}
	began := time.Now()
	l.waitFor(t, 1)
	t.Logf("the first order came %s after the promotion", time.Since(began).Round(time.Millisecond))

	if err := p.primary.Stop(); err == nil {
		t.Fatal("the primary was stopped, not killed")
	}
	follow(t, p.data)
	startServer(p.whole, p.data, p.port, nil)
	const others = "FROM pg_stat_activity WHERE usename LIKE '%_svc'"
	if _, err := conn.Exec(t.Context(), "SELECT pg_terminate_backend(pid) "+others); err != nil {
		t.Fatal(err)
	}
	l.waitFor(t, 2*clients)
	if n := scalar[int](t, conn, "SELECT count(*) "+others); n == 0 {
		t.Error("no service is connected to the promoted server")
	}
}

func connectTo(t *testing.T, server *pgserver.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.URL("pizza"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })
	return conn
}
