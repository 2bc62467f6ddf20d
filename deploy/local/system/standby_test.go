package system

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/testkit/pgserver"
	"example.com/pizza/pkg/testkit/pgtest"
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
	p := &pair{whole: t, data: pgtest.Folder(t)}
	var err error
	p.primary, p.standby, err = pgserver.StartPair(t.Context(), pgserver.Options{
		DataDir: p.data + "/postgres", Settings: map[string]string{"synchronous_standby_names": "standby"}, Log: t.Output(),
	}, pgserver.Options{DataDir: pgtest.Folder(t) + "/postgres", Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	p.port = portOf(t, p.primary)
	t.Cleanup(func() {
		_ = p.primary.Stop() // it is killed
		if err := p.standby.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
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
	if err := pgserver.Follow(p.primary.DataDir()); err != nil {
		t.Fatal(err)
	}
	startServer(p.whole, p.data, p.port)
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
