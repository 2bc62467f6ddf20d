package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// asChild is the variable that makes this program a child; see children.
const asChild = "PGTEST_CHILD"

func TestMain(m *testing.M) {
	if child, ok := children()[os.Getenv(asChild)]; ok {
		os.Exit(run(child))
	}
	Main(m)
}

// tests are the tests of a child.
type tests func() (status int)

func (t tests) Run() int { return t() }

func children() map[string]tests {
	return map[string]tests{
		"passes": func() int { return 0 },
		"fails":  func() int { return 3 },
		"leaks": func() int {
			go func() { select {} }()
			return 0
		},
		// prints the address of its server
		"serves": func() int {
			c, err := ours.connect(context.Background())
			if err != nil {
				fmt.Println(err)
				return 1
			}
			fmt.Println(c.address("postgres"), ours.server.DataDir())
			return 0
		},
		// gets a template, and prints "built" if it built it
		"builds": func() int {
			c, err := ours.connect(context.Background())
			if err == nil {
				_, err = c.template(context.Background(), os.Getenv("KEY"), func(ctx context.Context, dsn string) error {
					fmt.Println("built")
					return execute(ctx, dsn, "CREATE TABLE t AS SELECT 1 AS n")
				})
			}
			if err != nil {
				fmt.Println(err)
				return 1
			}
			return 0
		},
	}
}

// child runs this program as a child.
func child(t *testing.T, kind string, variables ...string) (output string, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TEST_DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, asChild+"="+kind), variables...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func TestMainReports(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		status int
		output string
	}{
		"passes": {0, ""},
		"fails":  {3, ""},
		"leaks":  {1, "goroutines"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			out, status := child(t, kind)
			if status != want.status || !strings.Contains(out, want.output) {
				t.Errorf("exit status %d, output %q", status, out)
			}
		})
	}
}

func TestMainStopsServer(t *testing.T) {
	t.Parallel()
	out, status := child(t, "serves")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	address, folder, found := strings.Cut(lines[len(lines)-1], " ")
	if status != 0 || !found {
		t.Fatalf("exit status %d, output %q", status, out)
	}
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data is still there: %v", err)
	}
	if err := execute(t.Context(), address, "SELECT"); err == nil {
		t.Error("the server still answers")
	}
}

func TestMainIsNeeded(t *testing.T) {
	t.Parallel()
	_, err := new(process).connect(t.Context())
	if err == nil || !strings.Contains(err.Error(), "pgtest.Main(m)") {
		t.Errorf("error: %v", err)
	}
}

func TestBadAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"host=localhost password=secret", "postgres://u:secret@host:port/", "postgres://u:secret@h:1/?sslmode=wrong"} {
		_, err := openCluster(t.Context(), address)
		if err == nil || !strings.Contains(err.Error(), "TEST_DATABASE_URL") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	key := newKey()
	var builds atomic.Int32
	build := func(ctx context.Context, dsn string) error {
		builds.Add(1)
		return execute(ctx, dsn, "CREATE TABLE t AS SELECT 1 AS n")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { Template(t, key, build) })
	}
	wg.Wait()
	if n := builds.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
	if Template(t, key, build) == Template(t, key+" of another content", build) {
		t.Error("one template for two keys")
	}
	if n := builds.Load(); n != 2 {
		t.Errorf("built %d times for two keys", n)
	}
}

func TestTemplateInManyProcesses(t *testing.T) {
	t.Parallel()
	key := newKey()
	outputs := make([]string, 4)
	var wg sync.WaitGroup
	for i := range outputs {
		address := "TEST_DATABASE_URL=" + URL(t)
		wg.Go(func() {
			out, status := child(t, "builds", address, "KEY="+key)
			if status != 0 {
				t.Errorf("exit status %d: %s", status, out)
			}
			outputs[i] = out
		})
	}
	wg.Wait()
	if n := strings.Count(strings.Join(outputs, ""), "built"); n != 1 {
		t.Errorf("built %d times: %q", n, outputs)
	}
}

func TestTemplateFails(t *testing.T) {
	t.Parallel()
	c, err := ours.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := newKey()
	cause := errors.New("bad migration")
	_, err = c.template(t.Context(), key, func(ctx context.Context, dsn string) error {
		return errors.Join(execute(ctx, dsn, "CREATE TABLE half ()"), cause)
	})
	if !errors.Is(err, cause) {
		t.Fatalf("error: %v", err)
	}
	// The next build starts from scratch.
	name, err := c.template(t.Context(), key, func(ctx context.Context, dsn string) error {
		return execute(ctx, dsn, "CREATE TABLE half ()")
	})
	if err != nil {
		t.Fatal(err)
	}
	count(t, Clone(t, name), "half", 0)
}

// A test process was killed while it built a template.
func TestTemplateUnfinished(t *testing.T) {
	t.Parallel()
	c, err := ours.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	build := func(ctx context.Context, dsn string) error { return execute(ctx, dsn, "CREATE TABLE t ()") }
	name := Template(t, newKey(), build)
	if _, err := c.pool.Exec(t.Context(), "ALTER DATABASE "+name+" RENAME TO "+name+"_unfinished"); err != nil {
		t.Fatal(err)
	}
	if err := c.buildOnce(t.Context(), name, 1, build); err != nil {
		t.Fatal(err)
	}
	count(t, Clone(t, name), "t", 0)
}

func TestClone(t *testing.T) {
	t.Parallel()
	template := Template(t, newKey(), func(ctx context.Context, dsn string) error {
		return execute(ctx, dsn, "CREATE TABLE t AS SELECT 1 AS n")
	})
	for range 12 {
		t.Run("copy", func(t *testing.T) {
			t.Parallel()
			dsn := Clone(t, template)
			if err := execute(t.Context(), dsn, "INSERT INTO t VALUES (2)"); err != nil {
				t.Fatal(err)
			}
			count(t, dsn, "t", 2)
		})
	}
}

func TestCloneIsDropped(t *testing.T) {
	t.Parallel()
	var conn *pgx.Conn
	t.Run("test", func(t *testing.T) {
		var err error
		if conn, err = pgx.Connect(t.Context(), Empty(t)); err != nil { // and stays connected
			t.Fatal(err)
		}
	})
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the database is still there")
	}
	_ = conn.Close(t.Context()) // broken already
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	count(t, Empty(t), "pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')", 0)
}

// newKey returns the key of a template that the server does not have yet.
func newKey() string { return rand.Text() }

func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// count checks the number of rows.
func count(t *testing.T, dsn, from string, want int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&got); err != nil {
		t.Error(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got != want {
		t.Errorf("%d rows in %s, want %d", got, from, want)
	}
}
