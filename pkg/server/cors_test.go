package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	settings "example.com/pizza/pkg/config"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/server"
)

// Only configured origins are allowed, and none with credentials that the browser
// adds automatically.
func TestCORS(t *testing.T) {
	t.Parallel()
	one := []string{"https://pizza.example", "http://localhost:5173"}
	for name, test := range map[string]struct {
		allowed []string
		origin  string
		want    string
	}{
		"allowed":              {one, "https://pizza.example", "https://pizza.example"},
		"another_one":          {one, "http://localhost:5173", "http://localhost:5173"},
		"stranger":             {one, "https://evil.example", ""},
		"other_scheme":         {one, "http://pizza.example", ""},
		"other_port":           {one, "https://pizza.example:8443", ""},
		"below_it":             {one, "https://evil.pizza.example", ""},
		"it_comes_first":       {one, "https://pizza.example.evil.example", ""},
		"it_comes_last":        {one, "https://evilpizza.example", ""},
		"dot_for_any_letter":   {one, "https://pizzaxexample", ""},
		"upper_case":           {one, "https://PIZZA.example", ""},
		"file_or_sandbox":      {one, "null", ""},
		"empty":                {one, "", ""},
		"two_at_once":          {one, "https://pizza.example https://evil.example", ""},
		"a_pattern_as_text":    {[]string{"https://*.pizza.example"}, "https://evil.pizza.example", ""},
		"none_allowed":         {nil, "https://pizza.example", ""},
		"all_allowed":          {[]string{"*"}, "https://evil.example", "*"},
		"all_allowed_sandbox":  {[]string{"*"}, "null", "*"},
		"star_is_no_reflector": {[]string{"*"}, "https://pizza.example", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config()
			c.AllowedOrigins = test.allowed
			s, _ := start(c)
			s.Router().POST("/oven/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
			preflight := do(s.Public(), "OPTIONS", "/oven/", "Origin", test.origin,
				"Access-Control-Request-Method", "DELETE", "Access-Control-Request-Headers", "X-Evil, Authorization", "Access-Control-Request-Private-Network", "true")
			simple := do(s.Public(), "POST", "/oven/", "Origin", test.origin)
			failed := do(s.Public(), "POST", "/nothing/", "Origin", test.origin)
			for what, answer := range map[string]*http.Response{"preflight": preflight, "request": simple, "error": failed} {
				h := answer.Header
				if got := h.Get("Access-Control-Allow-Origin"); got != test.want {
					t.Errorf("%s: allowed %q, want %q", what, got, test.want)
				}
				if h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Access-Control-Allow-Private-Network") != "" {
					t.Errorf("%s: credentials or private network allowed: %v", what, h)
				}
				if vary := strings.Join(h.Values("Vary"), ","); test.allowed != nil && !strings.Contains(vary, "Origin") {
					t.Errorf("%s: Vary %q: a cache would give one page the answer to another", what, vary)
				}
			}
			want := map[string]string{"Access-Control-Allow-Methods": "", "Access-Control-Allow-Headers": "", "Access-Control-Max-Age": ""}
			if test.want != "" { // the offered values, not the requested ones
				want = map[string]string{
					"Access-Control-Allow-Methods": "GET,HEAD,POST", "Access-Control-Max-Age": "600",
					"Access-Control-Allow-Headers": "Authorization,Content-Type,Idempotency-Key,If-None-Match,Traceparent,Tracestate,Baggage",
				}
			}
			got := map[string]string{}
			for header := range want {
				got[header] = preflight.Header.Get(header)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if got := simple.Header.Get("Access-Control-Expose-Headers"); test.want != "" && got != "Allow,ETag,Idempotent-Replayed,Link,Location,RateLimit,RateLimit-Policy,Retry-After,WWW-Authenticate" {
				t.Errorf("exposed headers %q", got)
			}
		})
	}
	t.Run("nothing_of_the_internal_port", func(t *testing.T) {
		t.Parallel()
		c := config()
		c.AllowedOrigins = []string{"*"}
		s, _ := start(c)
		s.Router().POST("/int/oven", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
		for _, method := range []string{"OPTIONS", "POST"} {
			if got := do(s.Internal(), method, "/int/oven", "Origin", "https://evil.example").Header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("%s: allowed %q", method, got)
			}
		}
	})
}

// A page can read every error response, because CORS runs before every check that
// rejects requests.
func TestErrorsArePagesToRead(t *testing.T) {
	t.Parallel()
	const origin = "https://pizza.example"
	c := config()
	c.RequestTimeout = time.Nanosecond
	s, _ := start(c)
	answer := func(err error) echo.HandlerFunc { return func(echo.Context) error { return err } }
	s.Router().GET("/oven/", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	s.Router().POST("/bound/", func(c echo.Context) error { return c.Bind(&struct{}{}) })
	s.Router().GET("/panic/", func(echo.Context) error { panic("burnt") })
	s.Router().GET("/late/", func(c echo.Context) error {
		<-c.Request().Context().Done()
		return fault.Wrap(c.Request().Context().Err(), fault.Unavailable, "too late")
	})
	s.Router().GET("/limited/", answer(fault.New(fault.RateLimited, "too many").Retry(time.Second)))
	s.Router().GET("/unknown/", answer(fault.New(fault.Unauthenticated, "who are you")))
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		body         string
		status       int
	}{
		"unknown_path":      {"GET", "/nothing/", nil, "", 404},
		"disguised_path":    {"GET", "/oven/%2e%2e/", nil, "", 404},
		"double_slash":      {"POST", "//oven/", nil, "", 404},
		"internal_path":     {"GET", "/int/oven", nil, "", 404},
		"method":            {"DELETE", "/oven/", nil, "", 405},
		"unknown_method":    {"BAKE", "/oven/", nil, "", 405},
		"said_to_be_large":  {"POST", "/bound/", nil, strings.Repeat("x", 65537), 413},
		"compressed":        {"POST", "/bound/", http.Header{"Content-Encoding": {"gzip"}}, "x", 415},
		"media":             {"POST", "/bound/", http.Header{"Content-Type": {"text/plain"}}, "x", 415},
		"charset":           {"POST", "/bound/", http.Header{"Content-Type": {"application/json; charset=euc-kr"}}, "{}", 415},
		"no_object":         {"POST", "/bound/", nil, "[]", 400},
		"repeated_header":   {"GET", "/oven/", http.Header{"Authorization": {"a", "b"}}, "", 400},
		"limited":           {"GET", "/limited/", nil, "", 429},
		"unauthenticated":   {"GET", "/unknown/", nil, "", 401},
		"late":              {"GET", "/late/", nil, "", 503},
		"broken":            {"GET", "/panic/", nil, "", 500},
		"not_found_by_HEAD": {"HEAD", "/nothing/", nil, "", 404},
	} {
		r, w := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body)), httptest.NewRecorder()
		for header, values := range test.header {
			r.Header[header] = values
		}
		r.Header.Set("Origin", origin)
		s.Public().ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Access-Control-Allow-Origin") != origin || !strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "Retry-After") {
			t.Errorf("%s: %d, want %d; allowed for %q", name, w.Code, test.status, w.Header().Get("Access-Control-Allow-Origin"))
		}
	}
}

func TestConfigRules(t *testing.T) {
	t.Parallel()
	const origins = "CORS_ALLOWED_ORIGINS="
	for name, test := range map[string]struct {
		variable string
		wrong    string
	}{
		"no_origins":            {origins, ""},
		"several_origins":       {origins + "https://a.example,http://localhost:5173,http://[::1]:3000,http://127.0.0.1", ""},
		"all_origins":           {origins + "*", ""},
		"all_and_one":           {origins + "*,https://a.example", "CORS_ALLOWED_ORIGINS"},
		"origin_null":           {origins + "null", "CORS_ALLOWED_ORIGINS"},
		"origin_pattern":        {origins + "https://*.a.example", "CORS_ALLOWED_ORIGINS"},
		"origin_with_a_slash":   {origins + "https://a.example/", "CORS_ALLOWED_ORIGINS"},
		"origin_with_a_path":    {origins + "https://a.example/b", "CORS_ALLOWED_ORIGINS"},
		"origin_with_a_query":   {origins + "https://a.example?", "CORS_ALLOWED_ORIGINS"},
		"origin_with_a_user":    {origins + "https://u@a.example", "CORS_ALLOWED_ORIGINS"},
		"origin_in_capitals":    {origins + "https://A.example", "CORS_ALLOWED_ORIGINS"},
		"origin_with_a_blank":   {origins + "https://a.example, https://b.example", "entry 2"},
		"origin_without_scheme": {origins + "a.example", "CORS_ALLOWED_ORIGINS"},
		"origin_of_an_app":      {origins + "capacitor://localhost", "CORS_ALLOWED_ORIGINS"},
		"origin_empty":          {origins + ",", "CORS_ALLOWED_ORIGINS"},
		"client_timeout":        {"CLIENT_TIMEOUT=0s", "CLIENT_TIMEOUT"},
		"request_timeout":       {"REQUEST_TIMEOUT=-1s", "REQUEST_TIMEOUT"},
		"shutdown_timeout":      {"SHUTDOWN_TIMEOUT=0m", "SHUTDOWN_TIMEOUT"},
	} {
		_, err := settings.Load[server.Config]([]string{test.variable})
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
