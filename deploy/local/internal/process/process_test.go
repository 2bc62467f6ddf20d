package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// program is the built test program.
var program string

// TestMain is also the supervisor of TestParentKilled, a process that only runs
// the child.
func TestMain(m *testing.M) {
	if addr := os.Getenv("TEST_SUPERVISE"); addr != "" {
		p, err := Start(Spec{Name: "child", Path: os.Getenv("TEST_CHILD"), Args: []string{"connect", addr}})
		if err != nil {
			panic(err)
		}
		<-p.Done()
		os.Exit(0)
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "process-test-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "child")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/child").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("build the test program: %v\n%s", err, out))
	}
	code := m.Run()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// start runs the child in the given mode, and returns it with its output lines.
func start(t *testing.T, mode string) (*Process, <-chan string) {
	t.Helper()
	out := make(chan string, 200)
	p, err := Start(Spec{
		Name: "child", Path: program, Args: []string{mode}, Env: []string{"REASON=none", "REASON=the test"},
		Line: func(b []byte) { out <- string(b) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		<-p.Done()
	})
	return p, out
}

func TestEnd(t *testing.T) {
	t.Parallel()
	p, _ := start(t, "fail")
	<-p.Done()
	var exit *exec.ExitError
	if !errors.As(p.Err(), &exit) || exit.ExitCode() != 3 {
		t.Errorf("Err() = %v, want exit status 3", p.Err())
	}
	if diff := cmp.Diff([]string{"about to fail", "because of the test"}, p.Tail()); diff != "" {
		t.Errorf("Tail() (-want +got):\n%s", diff)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("Signal() after the end = %v, want nil", err)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	t.Run("longer than every buffer", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, "long")
		<-p.Done()
		var total int
		var last string
		for len(out) > 0 {
			last = <-out
			total += len(last)
		}
		if want := 200<<10 + len("end"); total != want || last != "end" {
			t.Errorf("%d bytes, the last line %q; want %d and \"end\"", total, last, want)
		}
	})
	t.Run("the last ones are kept", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t, "count")
		<-p.Done()
		if tail := p.Tail(); len(tail) != tailLines || tail[0] != "80" || tail[tailLines-1] != "99" {
			t.Errorf("Tail() = %q", tail)
		}
	})
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("asked", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, "serve")
		<-out
		if err := p.Stop(t.Context()); err != nil {
			t.Errorf("Stop() = %v", err)
		}
		if got := <-out; got != "stopping" {
			t.Errorf("the last line is %q", got)
		}
	})
	t.Run("killed when it does not listen", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, "stubborn")
		<-out
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Stop(ctx); err == nil || !strings.Contains(err.Error(), "was killed") {
			t.Errorf("Stop() = %v, want a word about the kill", err)
		}
	})
	t.Run("ended badly before", func(t *testing.T) {
		t.Parallel()
		p, _ := start(t, "fail")
		<-p.Done()
		if err := p.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("Stop() = %v, want the exit status", err)
		}
	})
}

func TestStart(t *testing.T) {
	t.Parallel()
	t.Run("no such program", func(t *testing.T) {
		t.Parallel()
		if _, err := Start(Spec{Name: "ghost", Path: filepath.Join(t.TempDir(), "ghost")}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Start() = %v, want os.ErrNotExist", err)
		}
	})
	t.Run("out of reach of the terminal's Ctrl-C", func(t *testing.T) {
		t.Parallel()
		p, out := start(t, "serve")
		<-out
		group, err := syscall.Getpgid(p.PID())
		if err != nil || group != p.PID() {
			t.Errorf("the child's process group is %d (%v), want its own, %d", group, err, p.PID())
		}
	})
}
