package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"example.com/pizza/deploy/takeover/parity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file writes a file and returns its name.
func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func serve(t *testing.T, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func noEnvironment(string) string { return "" }

// TestArguments checks that a wrong argument is named before anything is sent.
func TestArguments(t *testing.T) {
	t.Parallel()
	both := []string{"--old", "http://a", "--new", "http://b"}
	path := []string{"--old", "http://a", "--new", "http://b/api"}
	wrongKey := file(t, `[{"paths": "x"}]`)
	reads, member := file(t, `{"path":"/"}`), file(t, `{"path":"/","as":"demo"}`)
	tests := map[string]struct {
		args []string
		want string
	}{
		"nothing_to_do":   {both, "either --requests or --listen is required"},
		"both":            {append(both, "--requests", reads, "--listen", ":0"), "either --requests or --listen"},
		"old_missing":     {[]string{"--new", "http://b", "--requests", reads}, "old must be an address"},
		"new_with_a_path": {append(path, "--requests", reads), "new must be an address"},
		"no_file":         {append(both, "--requests", "nowhere.jsonl"), "open nowhere.jsonl"},
		"no_request":      {append(both, "--requests", file(t, "")), "there is no read to compare"},
		"no_rules":        {append(both, "--requests", reads, "--rules", wrongKey), `unknown field "paths"`},
		"no_password":     {append(both, "--requests", member), `there is no password of "demo"`},
		"logins_broken":   {append(both, "--requests", member, "--logins", file(t, "demo-secret")), "logins must be lines"},
		"mirrored_writes": {append(both, "--listen", ":0", "--writes"), "a mirror never repeats writes"},
		"concurrency":     {append(both, "--requests", reads, "--concurrency", "0"), "concurrency must be 1 to 64"},
		"argument":        {append(both, "all"), `unexpected argument "all"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tc.args, noEnvironment, io.Discard, io.Discard)
			if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), tc.want) ||
				strings.Contains(err.Error(), "secret") {
				t.Errorf("%v; want %s", err, tc.want)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		ours string
		want error
	}{"parity": {"[1.0]", nil}, "different": {"[2]", errDifferent}, "failed": {"", errFailed}}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours := serve(t, tc.ours)
			if tc.want == errFailed { //nolint:errorlint // not wrapped
				ours = "http://127.0.0.1:1" // nobody listens
			}
			page := filepath.Join(t.TempDir(), "report.html")
			var out strings.Builder
			err := run(t.Context(), []string{
				"--old", serve(t, "[1]"), "--new", ours, "--requests", file(t, `{"path":"/api/menu/"}`), "--again", "1ms",
				"--html", page, "--json",
			}, noEnvironment, &out, io.Discard)
			var report parity.Report
			if jsonErr := json.Unmarshal([]byte(out.String()), &report); jsonErr != nil || !errors.Is(err, tc.want) {
				t.Errorf("%v, %v; want %v", err, jsonErr, tc.want)
			}
			if report.Parity != (tc.want == nil) || report.Totals.Requests != 1 || time.Since(report.At) > time.Minute {
				t.Errorf("report %s", out.String())
			}
			if info, err := os.Stat(page); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

// TestInterrupted checks that a run that was interrupted is no parity.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, []string{
		"--old", serve(t, "1"), "--new", serve(t, "1"), "--requests", file(t, `{"path":"/api/menu/"}`),
	}, noEnvironment, io.Discard, io.Discard)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// lines is what a command has printed.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestMirror starts a mirror, reads through it, and ends it as Ctrl-C does.
func TestMirror(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var out, log lines
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{
			"--old", serve(t, "[1]"), "--new", serve(t, "[2]"), "--listen", "127.0.0.1:0", "--report", "127.0.0.1:0",
			"--again", "1ms",
		}, noEnvironment, &out, &log)
	}()
	var found []string
	for found == nil {
		select {
		case err := <-ended:
			t.Fatalf("ended: %v", err)
		case <-time.After(time.Millisecond):
			found = regexp.MustCompile(`address=(\S+) report=(\S+)`).FindStringSubmatch(log.String())
		}
	}
	if got := get(t, "http://"+found[1]+"/api/menu/"); got != "[1]" {
		t.Errorf("answer %s", got)
	}
	if page := get(t, found[2]); !strings.Contains(page, "<h1>Parity") {
		t.Errorf("the report %s", page)
	}
	interrupt()
	if err := <-ended; !errors.Is(err, errDifferent) || !strings.Contains(out.String(), "different: http://") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func get(t *testing.T, address string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
