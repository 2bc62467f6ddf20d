package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/edgetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newGateway serves a gateway with h as the backend of every service. The header
// X-Service names the service.
func newGateway(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	g := New(slog.New(slog.DiscardHandler), "login", "menu", "order")
	for _, name := range []string{"login", "menu", "order"} {
		backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Service", name)
			h(w, r)
		}))
		t.Cleanup(backend.Close)
		g.SetBackend(name, backend.Listener.Addr().String())
	}
	return serve(t, g)
}

func serve(t *testing.T, g *Gateway) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(g)
	s.Config = g.Server()
	s.Start()
	t.Cleanup(g.Close)
	t.Cleanup(s.Close)
	return s
}

// do sends a request with the target unchanged on the wire.
func do(t *testing.T, s *httptest.Server, method, target string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, method+" "+target+" HTTP/1.1\r\nHost: pizza.test\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func wantProblem(t *testing.T, resp *http.Response, status int) problem.Problem {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != status || got != problem.ContentType {
		t.Fatalf("answer %d %s, want %d %s", resp.StatusCode, got, status, problem.ContentType)
	}
	var p problem.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if p.Status != status || p.Detail == "" || p.TraceID == "" {
		t.Errorf("problem %+v: status, detail and trace_id must be there", p)
	}
	return p
}

func TestRoute(t *testing.T) {
	t.Parallel()
	s := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Target", r.RequestURI)
	})
	for target, service := range map[string]string{
		"/login": "login", "/login/": "login", "/login/register/": "login", "/api/login": "login", "/api/login/logout": "login",
		"/menu": "menu", "/menu/?q=a%20b&sort=price": "menu", "/api/menu/types/": "menu", "/menu/openapi.json": "menu",
		"/order/": "order", "/api/order/myorder/?cursor=%2F;x": "order", "/order/a%20b/": "order", "/order/%EC%A3%BC": "order",
		"/order//": "", "/order/;x": "", "/%6Fdrer": "", "/%6Frder/": "order",
		"http://elsewhere.test/menu/": "menu",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			resp := do(t, s, http.MethodGet, target)
			if service == "" {
				wantProblem(t, resp, http.StatusNotFound)
				return
			}
			if got := resp.Header.Get("X-Service"); got != service {
				t.Errorf("answer %d from %q, want %q", resp.StatusCode, got, service)
			}
			if got, want := resp.Header.Get("X-Target"), strings.TrimPrefix(target, "http://elsewhere.test"); got != want {
				t.Errorf("the service saw %q, want %q: unchanged", got, want)
			}
		})
	}
}

func TestNotRouted(t *testing.T) {
	t.Parallel()
	s := newGateway(t, func(http.ResponseWriter, *http.Request) {})
	for _, target := range []string{
		"/int", "/int/auth/verify", "/int/menu/quote/", "/api/int/menu/quote", "/INT/auth/verify", "/%69nt/auth/verify",
		"/metrics", "/metrics/", "/api/metrics", "/Metrics", "/%6Detrics",
		"/healthz", "/livez", "/api/healthz", "/livez/", "/debug/pprof/",
		"/loginx", "/menus/", "/api/orderly", "/apilogin", "/LOGIN/", "/Api/menu/", "/api", "/api/", "/api/api/menu/", "//menu/", "/api//menu/",
		"/menu/../int/menu/quote", "/menu/..", "/./menu/", "/menu/%2e%2e/metrics", "/menu/%2E./healthz", "/menu/..%2fint", "/menu%2F..%2Fint",
		"/menu/%5c..%5cint", "/menu\\..\\int", "/login/.", "/favicon.ico", "/docs/nothing", "/docs/../int", "/docsx", "/docs/embed.go",
		"http://127.0.0.1:9000/metrics",
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			resp := do(t, s, http.MethodGet, target)
			wantProblem(t, resp, http.StatusNotFound)
			if got := resp.Header.Get("X-Service"); got != "" {
				t.Errorf("%s saw the request", got)
			}
		})
	}
	for name, request := range map[string][2]string{"OPTIONS *": {http.MethodOptions, "*"}, "CONNECT": {http.MethodConnect, "127.0.0.1:9000"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := do(t, s, request[0], request[1])
			if got := resp.Header.Get("X-Service"); got != "" {
				t.Errorf("%s saw the request", got)
			}
		})
	}
}

// TestDisguised checks that no spelling of a path reaches an internal endpoint,
// and that services parse a path as the gateway does.
func TestDisguised(t *testing.T) {
	t.Parallel()
	s := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		if u, err := url.ParseRequestURI(r.RequestURI); err != nil || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
			t.Errorf("a service saw %q", r.RequestURI)
		}
		w.WriteHeader(http.StatusNotFound)
	})
	for _, hidden := range []string{"/int/auth/verify", "/int/menu/quote", "/metrics"} {
		for _, target := range edgetest.Disguises(hidden) {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a := edgetest.Get(t, s.Listener.Addr().String(), method, target, "Content-Length: 0")
				if a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest {
					t.Errorf("%s %s: %d %.80s", method, target, a.Status, a.Body)
				}
			}
		}
	}
}

// TestSmuggling checks that data after a request with an ambiguous end is not
// answered, and that the service sees an unambiguous request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const second = "GET /menu/smuggled/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	for name, test := range map[string]struct {
		request  string
		statuses string
	}{
		"one_after_the_other":      {"Content-Length: 4\r\n\r\nabcd", "[200 200]"},
		"length_and_chunked":       {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "[200]"},
		"chunked":                  {"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", "[200]"},
		"two_lengths":              {"Content-Length: 0\r\nContent-Length: 4\r\n\r\n", "[400]"},
		"chunked_misspelt":         {"Content-Length: 0\r\nTransfer-Encoding: xchunked\r\n\r\n", "[501]"},
		"chunked_dropped_by_a_hop": {"Connection: close, Content-Length\r\nContent-Length: 4\r\n\r\nabcd", "[200]"},
		"headers_too_large":        {"X-A: " + strings.Repeat("x", 21<<10) + "\r\n\r\n", "[431]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan string, 9)
			s := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				seen <- fmt.Sprint(r.URL.Path, string(body), err)
			})
			var statuses []int
			for _, a := range edgetest.Ending(t, s.Listener.Addr().String(), "POST /menu/ HTTP/1.1\r\nHost: x\r\n"+test.request+second) {
				statuses = append(statuses, a.Status)
			}
			if got := fmt.Sprint(statuses); got != test.statuses {
				t.Errorf("answers %s, want %s", got, test.statuses)
			}
			if got, want := len(seen), strings.Count(test.statuses, "200"); got != want {
				t.Errorf("a service saw %d requests, want %d", got, want)
			}
			close(seen)
			for got := range seen {
				if got != "/menu/abcd<nil>" && got != "/menu/<nil>" && (got != "/menu/smuggled/<nil>" || test.statuses != "[200 200]") {
					t.Errorf("a service saw %q", got)
				}
			}
		})
	}
}

// TestClientGone checks that a client that leaves before the service answers gets
// no response, above all no 200.
func TestClientGone(t *testing.T) {
	t.Parallel()
	s := newGateway(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if answers := edgetest.Raw(t, s.Listener.Addr().String(), "GET /menu/ HTTP/1.1\r\nHost: x\r\n\r\n"); len(answers) != 0 {
		t.Errorf("answers %+v", answers)
	}
}

// TestForward checks what the service sees of a request and the client of its
// response.
func TestForward(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	s := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen <- r.Clone(r.Context())
		w.Header().Set("Etag", `"7"`)
		w.Header().Add("Set-Cookie", "a=1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(append([]byte("got "), body...))
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/order/?a=%ZZ&b=1;2", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "pizza.test:8000"
	for name, value := range map[string]string{
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Authorization": "Bearer x", "Idempotency-Key": "k",
		"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil.test", "Forwarded": "for=6.6.6.6", "Accept-Encoding": "br", "Content-Type": "text/x",
		"X-User-Id": "eve",
	} {
		req.Header.Set(name, value)
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "got body" || resp.StatusCode != http.StatusTeapot || resp.Header.Get("Etag") != `"7"` {
		t.Errorf("answer %d %q %v, want the service's", resp.StatusCode, body, resp.Header)
	}
	r := <-seen
	got := map[string]string{"Host": r.Host, "Target": r.RequestURI}
	for _, name := range []string{"Traceparent", "Authorization", "Idempotency-Key", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"Forwarded", "Accept-Encoding", "Content-Type", "X-User-Id"} {
		got[name] = r.Header.Get(name)
	}
	want := map[string]string{
		"Host": "pizza.test:8000", "Target": "/api/order/?a=%ZZ&b=1;2",
		"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Authorization": "Bearer x", "Idempotency-Key": "k",
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "pizza.test:8000", "X-Forwarded-Proto": "http",
		"Forwarded": "", "Accept-Encoding": "br", "Content-Type": "text/x", "X-User-Id": "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the service saw (-want +got):\n%s", diff)
	}
}

// TestStream checks that the first part of a response arrives while the service
// still works on the second.
func TestStream(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	s := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-read
		_, _ = io.WriteString(w, "two\n")
	})
	resp := do(t, s, http.MethodGet, "/menu/")
	r := bufio.NewReader(resp.Body)
	if line, err := r.ReadString('\n'); err != nil || line != "one\n" {
		t.Errorf("first part %q, %v", line, err)
	}
	close(read)
	if line, err := r.ReadString('\n'); err != nil || line != "two\n" {
		t.Errorf("second part %q, %v", line, err)
	}
}

// A page on another origin can also read the gateway's own errors.
func TestOwnErrorsArePagesToRead(t *testing.T) {
	t.Parallel()
	s := serve(t, New(slog.New(slog.DiscardHandler), "menu"))
	for target, status := range map[string]int{"/menu/": 503, "/nothing/": 404, "/menu/..%2fint": 404} {
		resp := do(t, s, http.MethodGet, target)
		wantProblem(t, resp, status)
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != "*" || resp.Header.Get("Access-Control-Expose-Headers") != "Retry-After" {
			t.Errorf("%s: allowed for %q, %v", target, got, resp.Header)
		}
	}
}

func TestServiceAway(t *testing.T) {
	t.Parallel()
	g := New(slog.New(slog.DiscardHandler), "login", "menu")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	g.SetBackend("menu", gone.Listener.Addr().String())
	s := serve(t, g)
	for target, detail := range map[string]string{
		"/login/": "the login service is still starting",
		"/menu/":  "the menu service is unavailable",
	} {
		t.Run(detail, func(t *testing.T) {
			t.Parallel()
			resp := do(t, s, http.MethodGet, target)
			if p := wantProblem(t, resp, http.StatusServiceUnavailable); p.Detail != detail {
				t.Errorf("detail %q, want %q", p.Detail, detail)
			}
			if got := resp.Header.Get("Retry-After"); got != "2" {
				t.Errorf("Retry-After %q, want 2", got)
			}
		})
	}
	t.Run("the trace of the caller is named", func(t *testing.T) {
		t.Parallel()
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/menu/", nil)
		req.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		w := httptest.NewRecorder()
		g.ServeHTTP(w, req)
		resp := w.Result()
		defer func() { _ = resp.Body.Close() }()
		if p := wantProblem(t, resp, http.StatusServiceUnavailable); p.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" {
			t.Errorf("trace_id %q", p.TraceID)
		}
	})
}

// TestShutdown checks that shutdown waits for a request in flight, but not for
// a connection without a request.
func TestShutdown(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	s := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	unused, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unused.Close() }()
	body := make(chan string, 1)
	go func() {
		resp, err := s.Client().Get(s.URL + "/menu/")
		if err != nil {
			body <- err.Error()
			return
		}
		b, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		body <- fmt.Sprintf("%s %v", b, err)
	}()
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- s.Config.Shutdown(t.Context()) }()
	if _, err := unused.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the unused connection ends with %v", err)
	}
	select {
	case err := <-stopped:
		t.Errorf("stopped with a request in flight: %v", err)
	default:
	}
	close(release)
	if got := <-body; got != "done <nil>" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	s := newGateway(t, func(http.ResponseWriter, *http.Request) {})
	read := func(t *testing.T, path, contentType string) string {
		t.Helper()
		resp := do(t, s, http.MethodGet, path)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Content-Type"), contentType) {
			t.Fatalf("%s: answer %d %s, %v; want 200 %s", path, resp.StatusCode, resp.Header.Get("Content-Type"), err, contentType)
		}
		if got := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; connect-src 'self';") {
			t.Errorf("%s: Content-Security-Policy %q lets other hosts in", path, got)
		}
		return string(body)
	}
	t.Run("the front page leads to it", func(t *testing.T) {
		t.Parallel()
		resp := do(t, s, http.MethodGet, "/")
		if resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "/docs" {
			t.Errorf("answer %d to %q, want 302 to /docs", resp.StatusCode, resp.Header.Get("Location"))
		}
	})
	t.Run("every document and every file is on this host", func(t *testing.T) {
		t.Parallel()
		page := read(t, "/docs", "text/html")
		if page != read(t, "/docs/", "text/html") {
			t.Error("/docs and /docs/ differ")
		}
		for _, document := range []string{`"/login/openapi.json"`, `"/menu/openapi.json"`, `"/order/openapi.json"`} {
			if !strings.Contains(page, document) {
				t.Errorf("the page does not offer %s", document)
			}
		}
		references := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
		if len(references) < 5 {
			t.Fatalf("only %d references in the page", len(references))
		}
		for _, m := range references {
			if u, err := url.Parse(m[1]); err != nil || u.Host != "" || u.Scheme != "" {
				t.Errorf("the page refers to another host: %s", m[1])
				continue
			}
			content := read(t, m[1], "")
			if strings.HasSuffix(m[1], ".css") {
				for _, u := range regexp.MustCompile(`url\(([^)]*)\)|@import[^;]*`).FindAllStringSubmatch(content, -1) {
					if !strings.HasPrefix(strings.Trim(u[1], `"'`), "data:") {
						t.Errorf("%s refers to %.80q", m[1], u[0])
					}
				}
			}
		}
	})
	t.Run("every order gets a fresh Idempotency-Key", func(t *testing.T) {
		t.Parallel()
		if !strings.Contains(read(t, "/docs", "text/html"), freshKeys) {
			t.Error("the page has no plugin for it")
		}
		// What the plugin relies on in Swagger UI: the action and the names of the values in it.
		ui := read(t, "/docs/swagger-ui-bundle.js", "")
		for _, part := range []string{"executeRequest=", "parameterValues(", "paramToIdentifier("} {
			if !strings.Contains(ui, part) {
				t.Errorf("Swagger UI has no %s", part)
			}
		}
	})
	t.Run("compressed where the browser takes it", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/docs/swagger-ui-bundle.js", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if got := resp.Header.Get("Content-Encoding"); got != "gzip" {
			t.Errorf("Content-Encoding %q, want gzip", got)
		}
	})
	t.Run("other methods are refused", func(t *testing.T) {
		t.Parallel()
		resp := do(t, s, http.MethodDelete, "/docs")
		wantProblem(t, resp, http.StatusMethodNotAllowed)
		if got := resp.Header.Get("Allow"); got != "GET, HEAD" {
			t.Errorf("Allow %q", got)
		}
	})
}
