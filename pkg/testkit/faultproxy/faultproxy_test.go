package faultproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/pizza/pkg/testkit/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// between returns a proxy in front of a real server that answers "fine", and a
// client that keeps its connections.
func between(t *testing.T) (*faultproxy.Proxy, *http.Client) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") }))
	t.Cleanup(server.Close)
	p, err := faultproxy.Listen(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: time.Minute}).DialContext}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, &http.Client{Transport: transport}
}

// post returns the status and the body, or an error. head is called when the
// response headers have arrived.
func post(ctx context.Context, client *http.Client, p *faultproxy.Proxy, head func()) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.Addr(), strings.NewReader("a question"))
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	head()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

func nothing() {}

// met returns when the current fault has interfered.
func met(p *faultproxy.Proxy) {
	for p.Met() == 0 {
		time.Sleep(time.Millisecond)
	}
}

func mustBeFine(t *testing.T, client *http.Client, p *faultproxy.Proxy) {
	t.Helper()
	if status, body, err := post(t.Context(), client, p, nothing); err != nil || status != 200 || body != "fine" {
		t.Fatalf("%d %q, %v", status, body, err)
	}
}

// Each fault looks to a client as documented, on existing and on new connections,
// and is gone after healing.
func TestFaults(t *testing.T) {
	t.Parallel()
	// A silent fault never ends the client's wait. So the client gives up when the
	// fault has interfered, or when the response headers have arrived.
	const never, whenMet, afterHead = 0, 1, 2
	gaveUp := func(_ int, err error) bool { return errors.Is(err, context.Canceled) }
	for fault, test := range map[faultproxy.Fault]struct {
		giveUp int
		seen   func(status int, err error) bool
	}{
		faultproxy.HalfOpen:  {whenMet, gaveUp},
		faultproxy.BlackHole: {whenMet, gaveUp},
		faultproxy.Vanish:    {afterHead, func(status int, err error) bool { return status == http.StatusOK && gaveUp(status, err) }},
		faultproxy.ServerError: {never, func(status int, err error) bool {
			return err == nil && status == http.StatusInternalServerError
		}},
		faultproxy.Reset: {never, func(_ int, err error) bool {
			return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE)
		}},
	} {
		for name, fresh := range map[string]bool{"kept_connection": false, "new_connection": true} {
			t.Run(string(fault)+"/"+name, func(t *testing.T) {
				t.Parallel()
				p, client := between(t)
				mustBeFine(t, client, p)
				if fresh {
					client.CloseIdleConnections()
				}
				p.Set(fault)
				ctx, giveUp := context.WithCancel(t.Context())
				defer giveUp()
				head := nothing
				switch test.giveUp {
				case whenMet:
					go func() { met(p); giveUp() }()
				case afterHead:
					head = giveUp
				}
				if status, _, err := post(ctx, client, p, head); !test.seen(status, err) {
					t.Errorf("%d, %v", status, err)
				}
				p.Heal()
				client.CloseIdleConnections()
				mustBeFine(t, client, p)
			})
		}
	}
}

// Healing releases bytes that latency or a black hole holds back.
func TestHealingLetsGo(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(*faultproxy.Proxy){
		"latency":    func(p *faultproxy.Proxy) { p.Delay(time.Hour) },
		"black_hole": func(p *faultproxy.Proxy) { p.Set(faultproxy.BlackHole) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, client := between(t)
			hold(p)
			answered := make(chan error, 1)
			go func() {
				_, _, err := post(t.Context(), client, p, nothing)
				answered <- err
			}()
			met(p)
			select {
			case err := <-answered:
				t.Errorf("the answer was not held back: %v", err)
			default:
			}
			p.Heal()
			if err := <-answered; err != nil {
				t.Error(err)
			}
		})
	}
}

// A missing server looks like one that resets connections.
func TestNoServer(t *testing.T) {
	t.Parallel()
	p, err := faultproxy.Listen("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := post(t.Context(), &http.Client{Transport: &http.Transport{}}, p, nothing); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error("closed twice:", err)
	}
}
