package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
	"time"
)

// Profiles are for operators, on the internal port alone. Without an ADMIN_TOKEN they do
// not exist.
func TestProfilesAreForOperators(t *testing.T) {
	t.Parallel()
	closed, _ := start(config())
	c := operated()
	c.RequestTimeout = 50 * time.Millisecond // ends the profile of the CPU
	open, _ := start(c)
	for name, test := range map[string]struct {
		handler             http.Handler
		path, authorization string
		status              int
	}{
		"closed":              {closed.Internal(), "/heap", "Bearer " + adminToken, 404},
		"closed_cpu":          {closed.Internal(), "/profile", "Bearer " + adminToken, 404},
		"closed_trace":        {closed.Internal(), "/trace", "Bearer " + adminToken, 404},
		"nothing":             {open.Internal(), "/heap", "", 401},
		"nothing_cpu":         {open.Internal(), "/profile", "", 401},
		"nothing_trace":       {open.Internal(), "/trace", "", 401},
		"another":             {open.Internal(), "/heap", "Bearer " + adminToken + "x", 401},
		"heap":                {open.Internal(), "/heap", "Bearer " + adminToken, 200},
		"cpu":                 {open.Internal(), "/profile?seconds=30", "Bearer " + adminToken, 200},
		"trace":               {open.Internal(), "/trace?seconds=30", "Bearer " + adminToken, 200},
		"unknown":             {open.Internal(), "/oven", "Bearer " + adminToken, 404},
		"command_line":        {open.Internal(), "/cmdline", "Bearer " + adminToken, 404},
		"on_the_public_port":  {open.Public(), "/heap", "Bearer " + adminToken, 404},
		"on_the_metrics_port": {open.Metrics(), "/heap", "Bearer " + adminToken, 404},
	} {
		resp := do(test.handler, "GET", "/debug/pprof"+test.path, "Authorization", test.authorization)
		if resp.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, test.status)
		}
		_ = resp.Body.Close()
	}
}

// A profile is a file of go tool pprof.
func TestProfile(t *testing.T) {
	t.Parallel()
	s, _ := start(operated())
	resp := do(s.Internal(), "GET", "/debug/pprof/goroutine", "Authorization", "Bearer "+adminToken)
	defer func() { _ = resp.Body.Close() }()
	r, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if profile, err := io.ReadAll(r); err != nil || !bytes.Contains(profile, []byte("TestProfile")) {
		t.Errorf("%d bytes, %v", len(profile), err)
	}
}
