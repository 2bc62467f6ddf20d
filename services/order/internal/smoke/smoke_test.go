package smoke

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// closed returns an address of this machine that refuses connections.
func closed(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// A service that refuses connections for a minute ends the test, which names the reason at
// once and every ten seconds.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	address := "http://" + closed(t)
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		began := time.Now()
		err := Run(t.Context(), Addresses{Login: address, Menu: address, Order: address}, &out)
		if err == nil || !strings.Contains(err.Error(), address+" accepts no connections, after 1m0s: ") ||
			!strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != patience {
			t.Errorf("it took %s, want %s", took, patience)
		}
		if lines := strings.Count(out.String(), "wait for "+address); lines != 6 {
			t.Errorf("%d lines, want 6:\n%s", lines, &out)
		}
	})
}

// written calls a function at the first line that is written.
type written struct {
	bytes.Buffer
	first func()
}

func (w *written) Write(b []byte) (int, error) {
	if w.Len() == 0 {
		w.first()
	}
	return w.Buffer.Write(b)
}

// A service that starts late is used, and a refused step is not repeated.
func TestWaitForService(t *testing.T) {
	t.Parallel()
	address := closed(t)
	calls := 0
	out := &written{first: func() {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			t.Error(err)
			return
		}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			http.Error(w, "closed today", http.StatusForbidden)
		}))
		_ = server.Listener.Close()
		server.Listener = listener
		server.Start()
		t.Cleanup(server.Close)
	}}
	err := Run(t.Context(), Addresses{Login: "http://" + address, Menu: "http://" + address, Order: "http://" + address}, out)
	if want := "register: POST http://" + address + "/login/register/: answer 403: closed today"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if strings.Count(out.String(), "\n") != 1 || calls != 1 {
		t.Errorf("%d calls, and the lines\n%s", calls, &out.Buffer)
	}
}
