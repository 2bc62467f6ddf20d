package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config() server.Config {
	return server.Config{
		Addr: "127.0.0.1:0", InternalAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0", AllowedOrigins: []string{"https://pizza.example"},
		RequestTimeout: 5 * time.Second, ShutdownTimeout: 5 * time.Second,
	}
}

// start returns a server without routes and the log that it writes.
func start(c server.Config, checks ...health.Check) (*server.Server, *bytes.Buffer) {
	var log bytes.Buffer
	return server.New(c, logging.New(logging.Config{Level: slog.LevelInfo}, &log, "test"), health.New(checks...), server.NewRegistry(), noop.NewTracerProvider()), &log
}

func do(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func readProblem(t *testing.T, resp *http.Response) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatalf("no problem document: %v", err)
	}
	if got := resp.Header.Get("Content-Type"); got != problem.ContentType {
		t.Errorf("Content-Type %q", got)
	}
	return p
}

func TestRouter(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	hello := func(c echo.Context) error { return c.String(http.StatusOK, c.Path()) }
	s.Router().GET("/oven/:id/", hello)
	s.Router().POST("/int/oven", hello)
	tests := []struct {
		name, method, path string
		public, internal   int
		allow, route       string
	}{
		{"bare", "GET", "/oven/7/", 200, 404, "", "/oven/:id/"},
		{"without_last_slash", "GET", "/oven/7", 200, 404, "", "/oven/:id/"},
		{"under_api", "GET", "/api/oven/7/", 200, 404, "", "/oven/:id/"},
		{"under_api_without_last_slash", "GET", "/api/oven/7", 200, 404, "", "/oven/:id/"},
		{"head", "HEAD", "/oven/7/", 200, 404, "", ""},
		{"method_not_offered", "DELETE", "/oven/7/", 405, 404, "OPTIONS, GET, HEAD", ""},
		{"internal_only_inside", "POST", "/int/oven", 404, 200, "", "/int/oven"},
		{"api_twice", "GET", "/api/api/oven/7/", 404, 404, "", ""},
		{"double_slash", "GET", "//oven/7/", 404, 404, "", ""},
		{"other_case", "GET", "/OVEN/7/", 404, 404, "", ""},
		{"metrics_only_inside", "GET", "/metrics", 404, 200, "", ""},
		{"nothing_there", "GET", "/", 404, 404, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			public, internal := do(s.Public(), test.method, test.path), do(s.Internal(), test.method, test.path)
			if public.StatusCode != test.public || internal.StatusCode != test.internal {
				t.Fatalf("public %d, internal %d; want %d and %d", public.StatusCode, internal.StatusCode, test.public, test.internal)
			}
			if got := public.Header.Get("Allow"); got != test.allow {
				t.Errorf("Allow %q, want %q", got, test.allow)
			}
			resp := public
			if test.public == 404 && test.internal == 200 {
				resp = internal
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if test.route != "" && string(body) != test.route {
				t.Errorf("route %q, want %q", body, test.route)
			}
		})
	}
}

// The metrics port serves /metrics and the probes, and nothing of the other ports.
func TestTheMetricsPortHasNothingElse(t *testing.T) {
	t.Parallel()
	s, _ := start(operated())
	hello := func(c echo.Context) error { return c.String(http.StatusOK, c.Path()) }
	s.Router().GET("/oven/", hello)
	s.Router().GET("/int/oven", hello)
	s.Router().POST("/int/oven", hello)
	if err := s.ServeDocument("oven", []byte("openapi: 3.0.3\npaths: {}\n")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/metrics": 200, "/healthz": 200, "/livez": 200,
		"/int/oven": 404, "/api/int/oven": 404, "/log-level": 404, "/oven/": 404, "/oven/openapi.json": 404, "/": 404, "/debug/pprof/": 404,
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT"} {
			status := want
			if want == 200 && method[0] == 'P' {
				status = 405
			}
			if resp := do(s.Metrics(), method, path, "Authorization", "Bearer "+adminToken); resp.StatusCode != status {
				t.Errorf("%s %s: %d, want %d", method, path, resp.StatusCode, status)
			}
		}
	}
	for _, h := range []http.Handler{s.Metrics(), s.Internal()} { // port 9000 still serves them
		body, err := io.ReadAll(do(h, "GET", "/metrics").Body)
		if err != nil || !strings.Contains(string(body), "go_goroutines") {
			t.Errorf("metrics: %v, %.80s", err, body)
		}
	}
}

// HEAD answers like GET, without the body, if GET changes nothing. Otherwise HEAD is
// rejected and changes nothing.
func TestHead(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	asked := 0
	count := func(c echo.Context) error { asked++; return c.String(http.StatusOK, "here") }
	s.Router().GET("/oven/", count)
	s.Router().Unsafe("/burn/").GET("/burn/", count)
	s.Router().Unsafe("/burn/").GET("/bake/", count)
	if err := s.ServeDocument("oven", []byte("openapi: 3.0.3\npaths: {}\n")); err != nil {
		t.Fatal(err)
	}
	for name, h := range map[string]http.Handler{"public": s.Public(), "internal": s.Internal(), "metrics": s.Metrics()} {
		port := httptest.NewServer(h)
		defer port.Close()
		for _, path := range []string{"/oven/", "/api/bake", "/oven/openapi.json", "/healthz", "/livez", "/metrics", "/nothing/"} {
			var statuses [2]int
			var types [2]string
			for i, method := range []string{"GET", "HEAD"} {
				r, err := http.NewRequestWithContext(t.Context(), method, port.URL+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := port.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.Body.Close() != nil || len(body) > 0 != (method == "GET") {
					t.Errorf("%s %s %s: %d bytes, %v", name, method, path, len(body), err)
				}
				statuses[i], types[i] = resp.StatusCode, resp.Header.Get("Content-Type")
			}
			if statuses[0] != statuses[1] || types[0] != types[1] {
				t.Errorf("%s %s: GET and HEAD differ: %d %q", name, path, statuses, types)
			}
		}
	}
	asked = 0
	for _, path := range []string{"/burn", "/burn/", "/api/burn", "/api/burn/"} {
		if resp := do(s.Public(), "HEAD", path); resp.StatusCode != 405 || resp.Header.Get("Allow") != "OPTIONS, GET" || asked != 0 {
			t.Errorf("HEAD %s: %d, Allow %q, asked %d times", path, resp.StatusCode, resp.Header.Get("Allow"), asked)
		}
	}
	if resp := do(s.Public(), "GET", "/burn/"); resp.StatusCode != 200 || asked != 1 {
		t.Errorf("GET: %d", resp.StatusCode)
	}
}

// A repeated header that affects the outcome is rejected on every port, for any
// values.
func TestHeadersThatAreRepeated(t *testing.T) {
	t.Parallel()
	s, _ := start(operated())
	asked := 0
	count := func(c echo.Context) error { asked++; return c.NoContent(http.StatusNoContent) }
	s.Router().POST("/oven/", count)
	s.Router().POST("/int/oven", count)
	for name, values := range map[string][]string{
		"Authorization": {"Bearer a", "Bearer b"}, "Content-Type": {"application/json", "application/json"},
		"Idempotency-Key": {"a", ""}, "Origin": {"https://pizza.example", "https://evil.example"},
	} {
		for path, h := range map[string]http.Handler{"/oven/": s.Public(), "/int/oven": s.Internal()} {
			r, w := httptest.NewRequest("POST", path, strings.NewReader("{}")), httptest.NewRecorder()
			r.Header[name] = values
			h.ServeHTTP(w, r)
			p := readProblem(t, w.Result())
			if want := []fault.Field{{Field: name, Message: "must be sent only once"}}; w.Code != 400 || !cmp.Equal(p.Errors, want) {
				t.Errorf("%s %s: %d %+v", path, name, w.Code, p)
			}
			r.Header[name] = values[:1]
			w = httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != 204 {
				t.Errorf("%s %s once: %d", path, name, w.Code)
			}
		}
	}
	if asked != 8 {
		t.Errorf("%d requests came through, want the 8 that are good", asked)
	}
	r, w := httptest.NewRequest("PUT", "/log-level?level=debug&for=1m", nil), httptest.NewRecorder()
	r.Header["Authorization"] = []string{"Bearer " + adminToken, "Bearer x"}
	if s.Internal().ServeHTTP(w, r); w.Code != 400 {
		t.Errorf("an operator twice: %d", w.Code)
	}
}

// A compressed body is rejected before it is read; nothing decodes one.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	s.Router().POST("/oven/", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	for coding, status := range map[string]int{
		"": 204, "identity": 204, "Identity": 204, "gzip": 415, "GZIP": 415, "deflate": 415, "br": 415, "zstd": 415, "gzip, gzip": 415,
		"identity, gzip": 415, "aws-chunked": 415, "pizza": 415,
	} {
		r, w := httptest.NewRequest("POST", "/oven/", strings.NewReader("\x1f\x8b")), httptest.NewRecorder()
		r.Header.Set("Content-Encoding", coding)
		s.Public().ServeHTTP(w, r)
		if w.Code != status || status == 415 && w.Header().Get("Accept-Encoding") != "identity" {
			t.Errorf("%q: %d %v", coding, w.Code, w.Header())
		}
		if status == 415 {
			if p := readProblem(t, w.Result()); !strings.Contains(p.Detail, "compressed") {
				t.Errorf("%q: %s", coding, p.Detail)
			}
		}
	}
	r, w := httptest.NewRequest("POST", "/oven/", nil), httptest.NewRecorder() // no body, nothing to decode
	r.Header.Set("Content-Encoding", "gzip")
	if s.Public().ServeHTTP(w, r); w.Code != 204 {
		t.Errorf("without a body: %d", w.Code)
	}
}

// Clients can send methods of any length. Logs and metrics keep a bounded part.
func TestUnknownMethods(t *testing.T) {
	t.Parallel()
	s, log := start(operated())
	long := strings.Repeat("BAKE", 4000)
	for _, h := range []http.Handler{s.Public(), s.Internal(), s.Metrics()} {
		do(h, long, "/log-level")
		do(h, "PROPFIND", "/nothing/")
	}
	if strings.Contains(log.String(), long[:21]) || !strings.Contains(log.String(), `"method":"BAKEBAKEBAKEBAKEBAKE…"`) || !strings.Contains(log.String(), `"method":"PROPFIND"`) {
		t.Errorf("log %.2000s", log)
	}
	body, err := io.ReadAll(do(s.Metrics(), "GET", "/metrics").Body)
	if err != nil || strings.Contains(string(body), "BAKE") || strings.Contains(string(body), "PROPFIND") || !strings.Contains(string(body), `method="_OTHER"`) {
		t.Errorf("metrics: %v\n%s", err, body)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s, log := start(config())
	fail := map[string]error{
		"/conflict":    fault.New(fault.Conflict, "taken"),
		"/defect":      errors.New("password=hunter2"),
		"/unavailable": fault.New(fault.Unavailable, "away").Retry(3 * time.Second),
	}
	for path, err := range fail {
		s.Router().GET(path, func(echo.Context) error { return err })
	}
	s.Router().GET("/panic", func(echo.Context) error { panic("hunter2") })

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	for path, want := range map[string]struct {
		status int
		logged bool
	}{
		"/conflict": {409, false}, "/defect": {500, true}, "/unavailable": {503, true}, "/panic": {500, true},
	} {
		log.Reset()
		resp := do(s.Public(), "GET", path, "Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
		p := readProblem(t, resp)
		if resp.StatusCode != want.status || p.Status != want.status {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want.status)
		}
		if p.TraceID != trace {
			t.Errorf("%s: trace_id %q is not the caller's", path, p.TraceID)
		}
		if strings.Contains(p.Detail, "hunter2") {
			t.Errorf("%s: the answer leaks: %s", path, p.Detail)
		}
		if got := strings.Count(log.String(), "request failed"); got != map[bool]int{true: 1, false: 0}[want.logged] {
			t.Errorf("%s: logged %d times:\n%s", path, got, log)
		}
		if !strings.Contains(log.String(), trace) {
			t.Errorf("%s: the log does not carry the trace_id:\n%s", path, log)
		}
	}
}

func TestEveryRequestHasItsOwnTrace(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	a, b := readProblem(t, do(s.Public(), "GET", "/a")), readProblem(t, do(s.Public(), "GET", "/a", "Traceparent", "garbage"))
	if len(a.TraceID) != 32 || len(b.TraceID) != 32 || a.TraceID == b.TraceID {
		t.Errorf("trace ids %q and %q", a.TraceID, b.TraceID)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection to 10.0.0.7 refused")
	var err error
	s, log := start(config(), health.Check{Name: "database", Run: func(context.Context) error { return err }})
	if resp := do(s.Public(), "GET", "/healthz"); resp.StatusCode != 200 {
		t.Errorf("ready: %d", resp.StatusCode)
	}
	err = broken
	resp := do(s.Public(), "GET", "/healthz")
	if p := readProblem(t, resp); resp.StatusCode != 503 || p.Detail != "not ready: database" {
		t.Errorf("unready: %d %q", resp.StatusCode, p.Detail)
	}
	if resp := do(s.Public(), "GET", "/livez"); resp.StatusCode != 200 {
		t.Errorf("alive: %d", resp.StatusCode)
	}
	if strings.Contains(log.String(), `"request"`) {
		t.Errorf("probes are in the access log:\n%s", log)
	}
}

func TestRequireToken(t *testing.T) {
	t.Parallel()
	s, log := start(config())
	check := func(_ context.Context, raw string) (token.Claims, error) {
		if raw != "good" {
			return token.Claims{}, token.ErrInvalid
		}
		return token.Claims{MemberID: "ada"}, nil
	}
	s.Router().GET("/mine", func(c echo.Context) error {
		claims, _ := token.FromContext(c.Request().Context())
		return c.String(http.StatusOK, claims.MemberID)
	}, server.RequireToken(check))
	resp := do(s.Public(), "GET", "/mine", "Authorization", "Bearer good", "X-User-Id", "eve")
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "ada" {
		t.Errorf("caller %q, %v", body, err)
	}
	if !strings.Contains(log.String(), `"member_id":"ada"`) {
		t.Errorf("the access line does not name the member:\n%s", log)
	}
	if resp := do(s.Public(), "GET", "/mine", "X-User-Id", "ada"); resp.StatusCode != 401 {
		t.Errorf("without a token: %d", resp.StatusCode)
	}
}

// The 401 gives the reason, whether the check or the operation rejects the token.
func TestWWWAuthenticate(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	check := func(_ context.Context, raw string) (token.Claims, error) {
		switch raw {
		case "":
			return token.Claims{}, token.ErrMissing
		case "expired":
			return token.Claims{}, token.ErrExpired
		default:
			return token.Claims{MemberID: "ada"}, nil
		}
	}
	s.Router().GET("/mine", func(echo.Context) error { return token.ErrRevoked }, server.RequireToken(check))
	for authorization, want := range map[string]string{
		"":               `Bearer realm="pizza"`,
		"Basic dTpw":     `Bearer realm="pizza"`,
		"Bearer expired": `Bearer realm="pizza", error="invalid_token", error_description="the token has expired"`,
		"Bearer revoked": `Bearer realm="pizza", error="invalid_token", error_description="the token was revoked"`,
	} {
		resp := do(s.Public(), "GET", "/mine", "Authorization", authorization)
		if got := resp.Header.Values("WWW-Authenticate"); resp.StatusCode != 401 || len(got) != 1 || got[0] != want {
			t.Errorf("%q: %d %q, want %q", authorization, resp.StatusCode, got, want)
		}
	}
}

func TestServeDocument(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	doc := "openapi: 3.0.3\ntags: [{name: public}, {name: internal}]\npaths:\n  /oven/: {get: {summary: a}}\n  /int/oven: {post: {summary: b}}\n"
	if err := s.ServeDocument("oven", []byte(doc)); err != nil {
		t.Fatal(err)
	}
	paths := func(h http.Handler) []string {
		var got struct {
			Paths map[string]any
			Tags  []struct{ Name string }
		}
		if err := json.NewDecoder(do(h, "GET", "/oven/openapi.json").Body).Decode(&got); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, tag := range got.Tags {
			out = append(out, tag.Name)
		}
		for _, p := range []string{"/oven/", "/int/oven"} {
			if _, ok := got.Paths[p]; ok {
				out = append(out, p)
			}
		}
		return out
	}
	if diff := cmp.Diff([]string{"public", "/oven/"}, paths(s.Public())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"public", "internal", "/oven/", "/int/oven"}, paths(s.Internal())); diff != "" {
		t.Error(diff)
	}
}

// A stopping server first reports not ready, keeps serving, and waits for requests
// in flight.
func TestRunStopsGracefully(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	c := config()
	c.ShutdownDelay = 2 * time.Second // enough to query the probes
	s := server.New(c, logging.New(logging.Config{}, &out, "test"), health.New(), server.NewRegistry(), noop.NewTracerProvider())
	entered, release := make(chan struct{}), make(chan struct{})
	s.Router().GET("/slow", func(c echo.Context) error {
		close(entered)
		<-release
		return c.String(http.StatusOK, "done")
	})
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	base := "http://" + out.await(t, "public")

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	answer := make(chan int, 1)
	go func() {
		resp, err := client.Get(base + "/slow")
		if err != nil {
			answer <- 0
			return
		}
		_ = resp.Body.Close()
		answer <- resp.StatusCode
	}()
	<-entered
	stop()
	out.await(t, "delay") // the log line "stopping"
	for path, want := range map[string]int{"/healthz": 503, "/livez": 200} {
		resp, err := client.Get(base + path)
		if err != nil {
			t.Fatalf("%s while stopping: %v", path, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s while stopping: %d, want %d", path, resp.StatusCode, want)
		}
	}
	close(release)
	if got := <-answer; got != 200 {
		t.Errorf("the request in flight got %d", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

// While a server drains, each response closes its connection, so that a client with
// keep-alive connections leaves without losing a request.
func TestDrainingEndsConnections(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	c := config()
	c.ClientTimeout = time.Minute
	c.ShutdownDelay = 2 * time.Second // clients need a small part of it, and none depends on it
	s := server.New(c, logging.New(logging.Config{}, &out, "test"), health.New(), server.NewRegistry(), noop.NewTracerProvider())
	ok := func(c echo.Context) error { return c.NoContent(http.StatusNoContent) }
	s.Router().POST("/oven/", ok)
	s.Router().POST("/int/oven", ok)
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	targets := []string{
		out.await(t, "public") + "/oven/", out.await(t, "public") + "/nothing/", out.await(t, "public") + "/oven/%2e/",
		out.await(t, "internal") + "/int/oven", out.await(t, "metrics") + "/livez",
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	defer client.CloseIdleConnections()
	// post sends a request that the transport does not retry, and reports whether the
	// response closes the connection.
	post := func(target string) (ends bool, err error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+target, io.NopCloser(strings.NewReader("{}")))
		if err != nil {
			return false, err
		}
		r.ContentLength = 2
		resp, err := client.Do(r)
		if err != nil {
			return false, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.Close, errors.Join(err, resp.Body.Close())
	}
	var clients errgroup.Group
	for _, target := range targets {
		if ends, err := post(target); ends || err != nil {
			t.Errorf("%s before the drain: the connection ends: %v, %v", target, ends, err)
		}
		for range 8 {
			clients.Go(func() error {
				for {
					ends, err := post(target)
					if ends || err != nil {
						return err
					}
				}
			})
		}
	}
	stop()
	if err := clients.Wait(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-stopped:
		t.Errorf("the server had stopped before its clients had left: %v", err)
	default:
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestRunNamesTheTakenAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config()
	c.InternalAddr = l.Addr().String()
	s, _ := start(c)
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "INTERNAL_ADDR") {
		t.Errorf("error %v", err)
	}
}
