package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/server"
)

const adminToken = "an-operators-credential-of-32-bytes"

// operated returns config with an operator's credential.
func operated() server.Config {
	c := config()
	c.Admin.Token = adminToken
	return c
}

// The log level cannot be read or changed without an ADMIN_TOKEN in the
// configuration, or by callers without that token.
func TestLogLevelIsForOperators(t *testing.T) {
	t.Parallel()
	closed, _ := start(config())
	open, _ := start(operated())
	for name, test := range map[string]struct {
		s             *server.Server
		authorization string
		status        int
	}{
		"closed":          {closed, "Bearer " + adminToken, 403},
		"closed_nothing":  {closed, "", 403},
		"closed_empty":    {closed, "Bearer ", 403},
		"nothing":         {open, "", 401},
		"another":         {open, "Bearer " + strings.Repeat("x", 32), 401},
		"another_scheme":  {open, "Basic " + adminToken, 401},
		"with_more":       {open, "Bearer " + adminToken + "x", 401},
		"with_less":       {open, "Bearer " + adminToken[1:], 401},
		"a_member's_own":  {open, "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", 401},
		"the_credential":  {open, "Bearer " + adminToken, 200},
		"in_lower_scheme": {open, "bearer " + adminToken, 200},
	} {
		for _, method := range []string{"PUT", "GET", "HEAD"} {
			resp := do(test.s.Internal(), method, "/log-level?level=info&for=1m", "Authorization", test.authorization)
			if resp.StatusCode != test.status {
				t.Errorf("%s %s: %d, want %d", name, method, resp.StatusCode, test.status)
			}
		}
		if resp := do(test.s.Metrics(), "PUT", "/log-level?level=debug&for=1m", "Authorization", test.authorization); resp.StatusCode != 404 {
			t.Errorf("%s on the metrics port: %d", name, resp.StatusCode)
		}
	}
}

// Operators can lower a process's log level for a while, for example to see why it
// rejects requests, and see when that ends.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	s, log := start(operated())
	s.Router().GET("/pizza/", func(echo.Context) error { return fault.New(fault.Conflict, "the last one was sold") })
	ask := func(method, query string) (answer struct {
		Level string
		Until time.Time
	}) {
		t.Helper()
		resp := do(s.Internal(), method, "/log-level"+query, "Authorization", "Bearer "+adminToken)
		defer func() { _ = resp.Body.Close() }()
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("%s %s: %d, %v", method, query, resp.StatusCode, err)
		}
		return answer
	}
	if a := ask("GET", ""); a.Level != "INFO" || !a.Until.IsZero() {
		t.Errorf("at first %+v", a)
	}
	_ = do(s.Public(), "GET", "/pizza/").Body.Close()
	if strings.Contains(log.String(), "the last one was sold") {
		t.Error("told without being asked")
	}
	if a := ask("PUT", "?level=debug&for=15m"); a.Level != "DEBUG" || a.Until.IsZero() || time.Until(a.Until) > 15*time.Minute {
		t.Errorf("then %+v", a)
	}
	_ = do(s.Public(), "GET", "/pizza/").Body.Close()
	for _, want := range []string{"the last one was sold", `"msg":"log level set"`, `"log_level":"DEBUG"`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in %s", want, log)
		}
	}
	if a := ask("PUT", "?level=error&for=1h"); a.Level != "INFO" || !a.Until.IsZero() {
		t.Errorf("at last %+v", a)
	}
}

func TestLogLevelRefuses(t *testing.T) {
	t.Parallel()
	s, _ := start(operated())
	for query, fields := range map[string][]string{
		"":                           {"level", "for"},
		"?level=loud&for=1m":         {"level"},
		"?level=debug":               {"for"},
		"?level=debug&for=1m&for=2m": {"for"},
		"?level=%ff&for=1m":          {"level"},
		"?level=debug&for=-1s":       {"for"},
		"?level=debug&for=24h0m1s":   {"for"},
	} {
		resp := do(s.Internal(), "PUT", "/log-level"+query, "Authorization", "Bearer "+adminToken)
		p := readProblem(t, resp)
		var got []string
		for _, e := range p.Errors {
			got = append(got, e.Field)
		}
		if resp.StatusCode != http.StatusBadRequest || strings.Join(got, " ") != strings.Join(fields, " ") {
			t.Errorf("%s: %d %v", query, resp.StatusCode, got)
		}
		_ = resp.Body.Close()
	}
	resp := do(s.Public(), "PUT", "/log-level?level=debug&for=1m")
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("on the public port: %d", resp.StatusCode)
	}
}
