package listen

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// holder is the variable that makes this program listen on an address until its
// standard input ends.
const holder = "LISTEN_TEST_HOLDER"

func TestMain(m *testing.M) {
	if address := os.Getenv(holder); address != "" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			fmt.Println("none", err)
			os.Exit(1)
		}
		fmt.Println(Port(l))
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// TestOwnerIsTheOther checks the owner of a port that another program holds on
// one address. It must not be this process, which has just taken the other
// address, or a third program on an address that does not conflict.
func TestOwnerIsTheOther(t *testing.T) {
	t.Parallel()
	for host, addresses := range map[string][]string{
		"":          {"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"},
		"127.0.0.1": {"127.0.0.1:0", "0.0.0.0:0", "[::]:0"},
		"::1":       {"[::1]:0", "[::]:0"},
		"0.0.0.0":   {"127.0.0.2:0", "0.0.0.0:0", "[::]:0"},
		"::":        {"[::1]:0", "[::]:0", "127.0.0.1:0"},
		"localhost": {"[::]:0"},
	} {
		for _, address := range addresses {
			t.Run(host+" while "+address, func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), holder+"="+address)
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				defer func() {
					_ = in.Close()
					_ = cmd.Wait()
				}()
				var port int
				if _, err := fmt.Fscan(out, &port); err != nil {
					t.Logf("a machine without IPv6: %v", err)
					return
				}
				third, err := net.Listen("tcp", net.JoinHostPort("127.0.0.3", strconv.Itoa(port)))
				if err == nil {
					defer third.Close()
				}
				listeners, err := Open(t.Context(), host, port)
				for _, l := range listeners {
					_ = l.Close()
				}
				var taken *TakenError
				if !errors.As(err, &taken) {
					t.Fatalf("Open() = %v, want *TakenError", err)
				}
				if third != nil && (host == "0.0.0.0" || host == "::") {
					return // both conflict
				}
				if want := fmt.Sprintf("(process %d)", cmd.Process.Pid); runtime.GOOS == "linux" && !strings.Contains(taken.Owner, want) {
					t.Errorf("owner %q, want %q", taken.Owner, want)
				}
				if onIPv6 := strings.Contains(taken.Error(), "on ::1"); onIPv6 != (taken.Host == "::1") {
					t.Errorf("the address is not told: %v", taken)
				}
			})
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("free port on every loopback address", func(t *testing.T) {
		t.Parallel()
		listeners, err := Open(t.Context(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range listeners {
			defer func() { _ = l.Close() }()
			if a, ok := l.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() || a.Port != Port(listeners[0]) {
				t.Errorf("listens on %v", l.Addr())
			}
		}
	})
	t.Run("taken", func(t *testing.T) {
		t.Parallel()
		for _, host := range []string{"127.0.0.1", "::1"} {
			first, err := open(t.Context(), host, 0)
			if err != nil {
				t.Logf("%s: %v", host, err) // a machine without IPv6
				continue
			}
			defer func() { _ = first.Close() }()
			_, err = Open(t.Context(), "", Port(first))
			var taken *TakenError
			if !errors.As(err, &taken) || taken.Port != Port(first) {
				t.Fatalf("Open() = %v, want *TakenError", err)
			}
			if runtime.GOOS == "linux" && !strings.Contains(taken.Owner, fmt.Sprintf("(process %d)", os.Getpid())) {
				t.Errorf("owner %q, want this process, %d", taken.Owner, os.Getpid())
			}
		}
	})
	t.Run("chosen address", func(t *testing.T) {
		t.Parallel()
		listeners, err := Open(t.Context(), "0.0.0.0", 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(listeners) != 1 {
			t.Errorf("%d listeners, want 1", len(listeners))
		}
		for _, l := range listeners {
			_ = l.Close()
		}
	})
	t.Run("no such address", func(t *testing.T) {
		t.Parallel()
		if _, err := Open(t.Context(), "192.0.2.1", 0); err == nil {
			t.Error("Open() = nil")
		}
	})
}
