package logtest

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/pizza/pkg/logging"
)

// Recorder records a log. Its zero value is empty, and fails no test. All methods
// are safe for concurrent use.
type Recorder struct {
	mu      sync.Mutex
	text    bytes.Buffer
	secrets []string
}

// New returns a recorder, and checks at the end of the test that the log contains no
// secret. The given secrets are those of the configuration. The log of a failed test
// is shown only with -v, so that it does not bury the reason for the failure.
func New(tb testing.TB, secrets ...string) *Recorder {
	tb.Helper()
	r := &Recorder{secrets: secrets}
	tb.Cleanup(func() {
		for _, leak := range r.Leaks() {
			tb.Error(leak)
		}
		if tb.Failed() && testing.Verbose() {
			_, _ = tb.Output().Write([]byte(r.String()))
		}
	})
	return r
}

// Logger returns a service's logger that records everything, including debug.
func (r *Recorder) Logger(service string) *slog.Logger {
	return logging.New(logging.Config{Level: slog.LevelDebug}, r, service)
}

// Write records log lines.
func (r *Recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

// String returns the log.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// Leaks returns the leaked secrets, as the function Leaks does.
func (r *Recorder) Leaks() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Leaks(r.text.String(), r.secrets...)
}

// Learn adds secret values.
func (r *Recorder) Learn(secrets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if !slices.Contains(r.secrets, s) {
			r.secrets = append(r.secrets, s)
		}
	}
}

// LearnRequest adds the secrets of a request: credentials, and the passwords and
// tokens in a JSON or form body.
func (r *Recorder) LearnRequest(header http.Header, body string) {
	for _, value := range header.Values("Authorization") {
		_, credential, _ := strings.Cut(value, " ")
		r.Learn(credential)
	}
	fields := map[string]any{}
	if json.Unmarshal([]byte(body), &fields) != nil {
		form, err := url.ParseQuery(body)
		if err != nil {
			return // neither JSON nor a form
		}
		for name := range form {
			fields[name] = form.Get(name)
		}
	}
	text := func(name string) string { s, _ := fields[name].(string); return s }
	for _, name := range []string{"pw", "password", "member_pwd", "old_pw", "old_password", "new_pw", "new_password", "token"} {
		secret := text(name)
		// The ID may be logged, even if it is the password.
		if !strings.EqualFold(secret, text("id")) && !strings.EqualFold(secret, text("member_id")) {
			r.Learn(secret)
		}
	}
}
