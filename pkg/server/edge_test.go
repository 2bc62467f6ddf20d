package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/testkit/edgetest"
)

// running is a server with a few routes on real ports.
type running struct {
	public, internal string
	baked            atomic.Int32 // bodies that POST /oven/ read completely
	smuggled         atomic.Int32 // requests for /smuggled/
	inside           atomic.Int32 // requests for paths of the internal port
	cut              chan error   // why GET /endless/ ended
}

// run serves until the test ends.
func run(t *testing.T, c server.Config) *running {
	t.Helper()
	r := &running{cut: make(chan error, 1)}
	var out lockedBuffer
	s := server.New(c, logging.New(logging.Config{}, &out, "test"), health.New(), server.NewRegistry(), noop.NewTracerProvider())
	count := func(n *atomic.Int32) echo.HandlerFunc {
		return func(c echo.Context) error {
			n.Add(1)
			return c.String(http.StatusOK, "here")
		}
	}
	s.Router().GET("/smuggled/", count(&r.smuggled))
	s.Router().GET("/oven/:id/", func(c echo.Context) error { return c.String(http.StatusOK, c.Param("id")) })
	s.Router().POST("/oven/", func(c echo.Context) error {
		if _, err := io.ReadAll(c.Request().Body); err != nil {
			return fault.Wrap(err, fault.Invalid, "the body could not be read")
		}
		return count(&r.baked)(c)
	})
	s.Router().GET("/endless/", func(c echo.Context) error {
		for {
			if _, err := c.Response().Write(make([]byte, 64<<10)); err != nil {
				r.cut <- err
				return nil //nolint:nilerr // nobody is left to answer
			}
		}
	})
	for _, path := range []string{"/int/auth/verify", "/int/menu/quote"} {
		s.Router().GET(path, count(&r.inside))
		s.Router().POST(path, count(&r.inside))
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	r.public, r.internal = out.await(t, "public"), out.await(t, "internal")
	return r
}

// The public port serves no internal path, however the path is disguised.
func TestNothingInternalFromOutside(t *testing.T) {
	t.Parallel()
	c := config()
	c.ClientTimeout = time.Minute
	r := run(t, c)
	for _, path := range []string{"/int/auth/verify", "/int/menu/quote", "/metrics"} {
		method := map[bool]string{true: http.MethodGet, false: http.MethodPost}[path == "/metrics"]
		if a := edgetest.Get(t, r.internal, method, path); a.Status != http.StatusOK {
			t.Fatalf("%s is not inside: %d", path, a.Status)
		}
		r.inside.Store(0)
		for _, target := range edgetest.Disguises(path) {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				a := edgetest.Get(t, r.public, method, target, "Content-Length: 0", "X-Forwarded-Prefix: /int", "X-Original-URL: "+path, "X-Rewrite-URL: "+path)
				if a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest || strings.Contains(a.Body, "go_goroutines") {
					t.Errorf("%s %s: %d %.80s", method, target, a.Status, a.Body)
				}
			}
		}
		if n := r.inside.Load(); n != 0 {
			t.Errorf("%d of the disguises of %s came through", n, path)
		}
	}
}

// If two servers could disagree about the end of a request, it is rejected or the
// connection closes after it: the bytes that follow are never answered.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const second = "GET /smuggled/ HTTP/1.1\r\nHost: x\r\n\r\n"
	chunked := "0\r\n\r\n" + second
	for name, test := range map[string]struct {
		headers, body string
		statuses      string // of all answers
	}{
		"one_after_the_other_is_fine":   {"Content-Length: 4\r\n", "abcd" + second, "[200 200]"},
		"length_and_chunked":            {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunked, "[200]"},
		"chunked_and_length":            {"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunked, "[200]"},
		"length_hides_a_request":        {fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n", len(chunked)), chunked, "[200]"},
		"chunked_alone":                 {"Transfer-Encoding: chunked\r\n", chunked, "[200]"},
		"same_length_twice":             {"Content-Length: 4\r\nContent-Length: 4\r\n", "abcd", "[200]"},
		"two_lengths":                   {"Content-Length: 4\r\nContent-Length: 0\r\n", second, "[400]"},
		"list_of_lengths":               {"Content-Length: 4, 4\r\n", second, "[400]"},
		"length_with_a_sign":            {"Content-Length: +4\r\n", second, "[400]"},
		"length_negative":               {"Content-Length: -4\r\n", second, "[400]"},
		"length_hexadecimal":            {"Content-Length: 0x4\r\n", second, "[400]"},
		"length_empty":                  {"Content-Length:\r\n", second, "[400]"},
		"length_too_long_a_number":      {"Content-Length: 99999999999999999999\r\n", second, "[400]"},
		"length_on_two_lines":           {"Content-Length: 4\r\n 0\r\n", second, "[400]"},
		"blank_before_the_colon":        {"Content-Length : 4\r\n", second, "[400]"},
		"blank_before_chunked_colon":    {"Transfer-Encoding : chunked\r\n", chunked, "[400]"},
		"header_starts_with_a_blank":    {" Transfer-Encoding: chunked\r\n", chunked, "[400]"},
		"chunked_on_the_next_line":      {"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n", chunked, "[200]"},
		"chunked_twice":                 {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked, "[501]"},
		"chunked_twice_in_a_list":       {"Transfer-Encoding: chunked, chunked\r\n", chunked, "[501]"},
		"chunked_and_identity":          {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked, "[501]"},
		"identity":                      {"Transfer-Encoding: identity\r\nContent-Length: 4\r\n", chunked, "[501]"},
		"gzip_and_chunked":              {"Transfer-Encoding: gzip, chunked\r\n", chunked, "[501]"},
		"chunked_misspelt":              {"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n", chunked, "[501]"},
		"chunked_behind_a_vertical_tab": {"Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n", chunked, "[400]"},
		"nul_in_a_header":               {"X-A: \x00\r\n", second, "[400]"},
		"return_in_a_header":            {"X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", second, "[400]"},
		"no_colon":                      {"Transfer-Encoding chunked\r\n", chunked, "[400]"},
		"two_hosts":                     {"Host: y\r\nContent-Length: 0\r\n", second, "[400]"},
		"chunk_size_no_number":          {"Transfer-Encoding: chunked\r\n", "zz\r\n" + second, "[400]"},
		"chunk_size_negative":           {"Transfer-Encoding: chunked\r\n", "-1\r\n" + second, "[400]"},
		"chunk_size_past_all_numbers":   {"Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n" + second, "[400]"},
		"chunk_size_with_a_prefix":      {"Transfer-Encoding: chunked\r\n", "0x4\r\nabcd\r\n" + chunked, "[400]"},
		"chunk_longer_than_its_size":    {"Transfer-Encoding: chunked\r\n", "2\r\nabcd\r\n" + chunked, "[400]"},
		"chunk_without_an_end":          {"Transfer-Encoding: chunked\r\n", "4\r\nabcd", "[400]"},
		"chunk_with_a_line_end_inside":  {"Transfer-Encoding: chunked\r\n", "4;x=\nabcd\r\n" + chunked, "[400]"},
		"chunk_ends_with_a_line_feed":   {"Transfer-Encoding: chunked\r\n", "4\nabcd\n0\n\n" + second, "[400]"},
		"length_with_leading_zeros":     {"Content-Length: 0004\r\n", "abcd", "[200]"},
		"three_lengths":                 {"Content-Length: 4\r\nContent-Length: 4\r\nContent-Length: 5\r\n", second, "[400]"},
		"length_with_an_underscore":     {"Content-Length: 1_0\r\n", second, "[400]"},
		"length_fraction":               {"Content-Length: 4.0\r\n", second, "[400]"},
		"chunked_in_capitals":           {"Transfer-Encoding: CHUNKED\r\nContent-Length: 4\r\n", chunked, "[200]"},
		"chunked_behind_a_tab":          {"Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n", chunked, "[200]"},
		"chunked_with_a_parameter":      {"Transfer-Encoding: chunked;q=1\r\n", chunked, "[501]"},
		"chunked_in_quotation_marks":    {"Transfer-Encoding: \"chunked\"\r\n", chunked, "[501]"},
		"chunked_empty":                 {"Transfer-Encoding:\r\nContent-Length: 4\r\n", chunked, "[501]"},
		"underscore_for_a_hyphen":       {"Transfer_Encoding: chunked\r\nContent-Length: 0\r\n", second, "[200 200]"},
		"line_feeds_alone":              {"X-A: b\nTransfer-Encoding: chunked\nContent-Length: 4\r\n", chunked, "[200]"},
		"old_alone":                     {"HTTP/1.0Content-Length: 4\r\n", "abcd" + second, "[200]"},
		"old_both":                      {"HTTP/1.0Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunked, "[200]"},
		"old_both_by_length":            {"HTTP/1.0Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunked, "[200]"},
		"old_chunked_alone":             {"HTTP/1.0Transfer-Encoding: chunked\r\n", chunked, "[200]"},
		"old_chunked_misspelt":          {"HTTP/1.0Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n", second, "[200]"},
		"old_two_lengths":               {"HTTP/1.0Content-Length: 4\r\nContent-Length: 0\r\n", second, "[400]"},
		"trailer_with_a_length":         {"Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "0\r\nContent-Length: 4\r\n\r\n" + second, "[400]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config()
			c.ClientTimeout = time.Minute
			r := run(t, c)
			version, headers := "1.1", test.headers
			if rest, ok := strings.CutPrefix(headers, "HTTP/1.0"); ok {
				version, headers = "1.0\r\nConnection: keep-alive", rest
			}
			answers := edgetest.Raw(t, r.public, "POST /oven/ HTTP/"+version+"\r\nHost: x\r\n"+headers+"\r\n"+test.body)
			var statuses []int
			for _, a := range answers {
				statuses = append(statuses, a.Status)
			}
			if got := fmt.Sprint(statuses); got != test.statuses {
				t.Errorf("answers %s, want %s", got, test.statuses)
			}
			if got, want := r.smuggled.Load(), int32(strings.Count(test.statuses, "200 200")); got != want {
				t.Errorf("the request behind was answered %d times", got)
			}
		})
	}
}

// Request lines that are not HTTP/1.1 with one host and one path.
func TestRequestLines(t *testing.T) {
	t.Parallel()
	c := config()
	c.ClientTimeout = time.Minute
	r := run(t, c)
	for line, status := range map[string]int{
		"GET /livez HTTP/1.1\r\nHost: x":         200,
		"GET /livez HTTP/1.1":                    400, // no Host
		"GET /livez":                             400,
		"GET  /livez HTTP/1.1\r\nHost: x":        400,
		"GET /livez x HTTP/1.1\r\nHost: x":       400,
		"GET livez HTTP/1.1\r\nHost: x":          400,
		"GET /livez HTTP/1.1\r\nHost: x/y\\z":    400,
		"GET /livez HTTP/1.1\r\nHost: a b":       400,
		"GET /livez HTTP/9.9\r\nHost: x":         505,
		"PRI * HTTP/2.0\r\n":                     404, // no HTTP/2 without TLS
		"G\x00T /livez HTTP/1.1\r\nHost: x":      400,
		"GET /li\x00vez HTTP/1.1\r\nHost: x":     400,
		"GET /livez%zz HTTP/1.1\r\nHost: x":      400,
		"CONNECT /int/oven HTTP/1.1\r\nHost: x":  404,
		"CONNECT x:9000 HTTP/1.1\r\nHost: x":     404,
		"GET /livez\tHTTP/1.1\r\nHost: x":        400,
		"get /livez HTTP/1.1\r\nHost: x":         405,
		"\r\n\r\nGET /livez HTTP/1.1\r\nHost: x": 400,
	} {
		answers := edgetest.Raw(t, r.public, line+"\r\n\r\n")
		if len(answers) != 1 || answers[0].Status != status {
			t.Errorf("%q: %+v, want %d", line, answers, status)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := config()
	c.ClientTimeout = time.Minute
	r := run(t, c)
	const post = "POST /oven/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	big := strings.Repeat("x", 64<<10)
	for name, test := range map[string]struct {
		text   string
		status int
	}{
		"body_at_the_limit":      {post + "Content-Length: 65536\r\n\r\n" + big, 200},
		"body_over_it":           {post + "Content-Length: 65537\r\n\r\n" + big + "x", 413},
		"body_said_to_be_huge":   {post + "Content-Length: 99999999999\r\n\r\n", 413},
		"body_huge_and_expected": {post + "Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n", 413},
		"body_of_a_get":          {"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 65537\r\n\r\n", 413},
		"chunks_over_it":         {post + "Transfer-Encoding: chunked\r\n\r\n10001\r\n" + big + "x\r\n0\r\n\r\n", 400},
		"headers_below_it":       {post + "Content-Length: 0\r\nX-A: " + big[:15<<10] + "\r\n\r\n", 200},
		"header_over_it":         {post + "Content-Length: 0\r\nX-A: " + big[:21<<10] + "\r\n\r\n", 431},
		"many_headers":           {post + strings.Repeat("A: b\r\n", 4000) + "\r\n", 431},
		"path_over_it":           {"GET /oven/" + big[:21<<10] + "/ HTTP/1.1\r\nHost: x\r\n\r\n", 431},
		"header_without_an_end":  {post + "X-A: " + big, 431},
		"expects_something_else": {post + "Content-Length: 0\r\nExpect: pizza\r\n\r\n", 417},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := edgetest.Raw(t, r.public, test.text)
			if len(answers) != 1 || answers[0].Status != test.status {
				t.Errorf("%+v, want %d", answers, test.status)
			}
		})
	}
}

// Clients that stall on a connection are cut off, so that they do not block others.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	c := config()
	c.RequestTimeout, c.ClientTimeout = 100*time.Millisecond, 100*time.Millisecond
	for name, text := range map[string]string{
		"silent":       "",
		"request_line": "POST /oven/ HTT",
		"headers":      "POST /oven/ HTTP/1.1\r\nHost: x\r\nX-A: b",
		"body":         "POST /oven/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
		"chunk":        "POST /oven/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, c)
			var conns []net.Conn
			for range 50 {
				conn := dial(t, r.public)
				if _, err := io.WriteString(conn, text); err != nil {
					t.Fatal(err)
				}
				conns = append(conns, conn)
			}
			served := false
			for !served { // even a fast client can be cut off on a busy machine
				answers := edgetest.Raw(t, r.public, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				served = len(answers) == 1 && answers[0].Status == http.StatusOK
			}
			for _, conn := range conns {
				for _, a := range edgetest.Answers(t, conn) { // until the server closes the connection
					if a.Status < 400 {
						t.Errorf("answer %d to half a request", a.Status)
					}
				}
			}
			if n := r.baked.Load(); n != 0 {
				t.Errorf("%d half requests were worked on", n)
			}
		})
	}
	t.Run("one_byte_at_a_time", func(t *testing.T) {
		t.Parallel()
		r := run(t, c)
		conn := dial(t, r.public)
		if _, err := io.WriteString(conn, "POST /oven/ HTTP/1.1\r\nHost: x\r\nX-A: "); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for {
				if _, err := io.WriteString(conn, "a"); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		edgetest.Answers(t, conn)
		_ = conn.Close()
		<-ended
	})
	t.Run("never_reads_the_answer", func(t *testing.T) {
		t.Parallel()
		r := run(t, c)
		conn := dial(t, r.public)
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /endless/ HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := <-r.cut; err == nil {
			t.Error("the answer went through")
		}
	})
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil { // for a server that never closes it
		t.Fatal(err)
	}
	return conn
}

// Every response has the security headers for browsers.
func TestEveryAnswerIsProtected(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	s.Router().GET("/oven/", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-cache")
		return c.String(http.StatusOK, "here")
	})
	s.Router().GET("/broken/", func(echo.Context) error { panic("hunter2") })
	s.Router().GET("/int/oven", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	for name, test := range map[string]struct {
		answer *http.Response
		status int
		cache  string
	}{
		"answer":    {do(s.Public(), "GET", "/oven/"), 200, "no-cache"}, // set by the handler
		"health":    {do(s.Public(), "GET", "/livez"), 200, "no-store"},
		"not_found": {do(s.Public(), "GET", "/nothing"), 404, "no-store"},
		"disguised": {do(s.Public(), "GET", "/oven/%2e%2e/"), 404, "no-store"},
		"method":    {do(s.Public(), "POST", "/oven/"), 405, "no-store"},
		"broken":    {do(s.Public(), "GET", "/broken/"), 500, "no-store"},
		"preflight": {do(s.Public(), "OPTIONS", "/oven/", "Origin", "https://pizza.example", "Access-Control-Request-Method", "GET"), 204, "no-store"},
		"inside":    {do(s.Internal(), "GET", "/int/oven"), 204, "no-store"},
	} {
		want := map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy":      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": test.cache, "Server": "", "X-Powered-By": "",
		}
		if test.answer.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", name, test.answer.StatusCode, test.status)
		}
		for header, value := range want {
			if got := test.answer.Header.Get(header); got != value {
				t.Errorf("%s: %s %q, want %q", name, header, got, value)
			}
		}
	}
}

// A caller's trace is continued only if its traceparent is valid. Nothing else in a
// request affects IDs.
func TestTraceOfTheCaller(t *testing.T) {
	t.Parallel()
	const id, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for name, test := range map[string]struct {
		header, value string
		taken         bool
	}{
		"good":               {"Traceparent", "00-" + id + "-" + span + "-01", true},
		"not_sampled":        {"Traceparent", "00-" + id + "-" + span + "-00", true},
		"later_version":      {"Traceparent", "cc-" + id + "-" + span + "-01-more", true},
		"version_ff":         {"Traceparent", "ff-" + id + "-" + span + "-01", false},
		"upper_case":         {"Traceparent", "00-" + strings.ToUpper(id) + "-" + span + "-01", false},
		"id_of_zeros":        {"Traceparent", "00-" + strings.Repeat("0", 32) + "-" + span + "-01", false},
		"span_of_zeros":      {"Traceparent", "00-" + id + "-" + strings.Repeat("0", 16) + "-01", false},
		"too_short":          {"Traceparent", "00-" + id[1:] + "-" + span + "-01", false},
		"too_long":           {"Traceparent", "00-" + id + "-" + span + "-01-more", false},
		"no_hexadecimal":     {"Traceparent", "00-" + id[:31] + "g-" + span + "-01", false},
		"line_end":           {"Traceparent", "00-" + id[:31] + "\n-" + span + "-01", false},
		"huge":               {"Traceparent", strings.Repeat(id, 300), false},
		"by_another_name":    {"X-Trace-Id", id, false},
		"request_id":         {"X-Request-Id", id, false},
		"request_id_of_html": {"X-Request-Id", "<script>" + id, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := start(config())
			resp := do(s.Public(), "GET", "/nothing", test.header, test.value)
			p := readProblem(t, resp)
			if (p.TraceID == id) != test.taken || len(p.TraceID) != 32 || strings.Trim(p.TraceID, "0123456789abcdef") != "" {
				t.Errorf("trace_id %q", p.TraceID)
			}
			if strings.Contains(log.String(), id) != test.taken || strings.Contains(log.String(), "<script>") {
				t.Errorf("log %s", log)
			}
			for header := range resp.Header {
				if strings.Contains(resp.Header.Get(header), id) {
					t.Errorf("%s repeats what the caller sent", header)
				}
			}
		})
	}
}
