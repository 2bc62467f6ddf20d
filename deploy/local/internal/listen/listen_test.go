package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
)

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
