package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgtest"
)

// startTimeout includes the build.
const (
	startTimeout = 5 * time.Minute
	stopTimeout  = 30 * time.Second
)

// system is a running stack and a client of it.
type system struct {
	*stack.Stack
	client *http.Client // checks every response against the documents
	plain  *http.Client // does not
	logs   *logs
	folder string // the data folder
}

// start starts the stack on free ports with its own folder.
func start(t *testing.T, o stack.Options) *system {
	t.Helper()
	// The cache of go test does not notice changes of other modules. It does notice this
	// variable, which make test sets to a checksum of all sources.
	os.Getenv("TEST_RUN")
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	l := newLogs()
	o.Root, o.DataDir = root(t), pgtest.Folder(t)
	o.Progress, o.Line = t.Output(), l.line
	o.Environ = append([]string{"LOG_LEVEL=debug"}, o.Environ...) // debug logs must not contain secrets either
	t.Cleanup(func() { l.mustKeepSecrets(t, o.DataDir) })
	t.Cleanup(func() {
		if strings.Contains(l.heard.String(), "DATA RACE") { // make test builds the services with the race detector
			t.Error("a service has a data race; its report is in the log")
			l.dump(t)
		}
	})
	s, err := stack.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.dump(t)
		}
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Errorf("stop the stack: %v", err)
		}
	})
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	running := &system{Stack: s, plain: &http.Client{Transport: transport, CheckRedirect: noRedirect}, logs: l, folder: o.DataDir}
	var documents [][]byte
	for _, name := range []string{"login", "menu", "order"} {
		a := running.send(t, request{method: http.MethodGet, path: "/" + name + "/openapi.json", unchecked: true})
		documents = append(documents, a.want(t, http.StatusOK).body)
	}
	running.client = &http.Client{Transport: apitest.New(t, transport, documents...), CheckRedirect: noRedirect}
	return running
}

// noRedirect returns redirects as they are, because the API never redirects.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// root returns the folder of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// request is one call. Zero fields are left out.
type request struct {
	method string
	path   string
	token  string
	header map[string]string
	media  string // Content-Type
	body   string
	// unchecked skips the check against the documents. A list in a form is JSON
	// text, which OpenAPI 3.0 cannot describe.
	unchecked bool
}

// answer is the response to a request.
type answer struct {
	request request
	status  int
	header  http.Header
	body    []byte
}

// send sends a request through the gateway. No input may cause a 500.
func (s *system) send(t *testing.T, r request) answer {
	t.Helper()
	return s.sendTo(t, s.URL(), r)
}

func (s *system) sendTo(t *testing.T, base string, r request) answer {
	t.Helper()
	a, err := s.try(t.Context(), base, r)
	if err != nil {
		t.Fatal(err)
	}
	if a.status == http.StatusInternalServerError {
		t.Errorf("%s: 500 %s", a.name(), a.body)
	}
	return a
}

// try is like sendTo, for goroutines other than the test's.
func (s *system) try(ctx context.Context, base string, r request) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, base+r.path, strings.NewReader(r.body))
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if r.media != "" {
		req.Header.Set("Content-Type", r.media)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	s.logs.heard.LearnRequest(req.Header, r.body)
	client := s.client
	if r.unchecked {
		client = s.plain
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := resp.Body.Close(); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	return answer{request: r, status: resp.StatusCode, header: resp.Header, body: body}, err
}

func (s *system) get(t *testing.T, path string) answer {
	t.Helper()
	return s.send(t, request{method: http.MethodGet, path: path})
}

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

func (s *system) postJSON(t *testing.T, path, token, body string) answer {
	t.Helper()
	return s.send(t, request{method: http.MethodPost, path: path, token: token, media: mediaJSON, body: body})
}

func (s *system) postForm(t *testing.T, path string, body url.Values) answer {
	t.Helper()
	return s.send(t, request{method: http.MethodPost, path: path, media: mediaForm, body: body.Encode()})
}

func (a answer) name() string {
	path := a.request.path
	if len(path) > 80 {
		path = path[:80] + "…"
	}
	return a.request.method + " " + path
}

// want stops the test unless the response has the given status.
func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s: answer %d %.300s, want %d", a.name(), a.status, a.body, status)
	}
	return a
}

// wantProblem stops the test unless the response is a problem document with the
// given status. If fields are given, the document must name exactly those.
func (a answer) wantProblem(t *testing.T, status int, fields ...string) problem.Problem {
	t.Helper()
	a.want(t, status)
	if got := a.header.Get("Content-Type"); got != problem.ContentType {
		t.Fatalf("%s: Content-Type %q, want %q", a.name(), got, problem.ContentType)
	}
	p := decode[problem.Problem](t, a)
	if p.Status != status || p.Detail == "" || p.Error != p.Detail || p.TraceID == "" {
		t.Errorf("%s: problem %s: status, detail, error and trace_id must be there", a.name(), a.body)
	}
	var named []string
	for _, f := range p.Errors {
		named = append(named, f.Field)
	}
	slices.Sort(named)
	slices.Sort(fields)
	if len(fields) > 0 && !slices.Equal(named, fields) {
		t.Errorf("%s: the bad fields are %q, want %q: %s", a.name(), named, fields, a.body)
	}
	return p
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%s: %v: %.300s", a.name(), err, a.body)
	}
	return v
}

// js returns v as JSON text.
func js(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// object is a JSON object.
type object = map[string]any

const password = "a-good-password"

// member registers a member, logs it in and returns its token.
func (s *system) member(t *testing.T, id string) string {
	t.Helper()
	s.postJSON(t, "/login/register/", "", js(t, object{"id": id, "pw": password, "name": "회원 " + id[:1]})).want(t, http.StatusCreated)
	return s.login(t, id, password)
}

func (s *system) login(t *testing.T, id, pw string) string {
	t.Helper()
	a := s.postJSON(t, "/login/", "", js(t, object{"id": id, "pw": pw})).want(t, http.StatusOK)
	return decode[struct{ Token string }](t, a).Token
}

// branch returns the id of a branch to order at. It waits if order is not ready
// after an earlier fault.
func (s *system) branch(t *testing.T) string {
	t.Helper()
	a := s.get(t, "/order/branch/")
	for deadline := time.Now().Add(time.Minute); a.status == http.StatusServiceUnavailable && time.Now().Before(deadline); a = s.get(t, "/order/branch/") {
		wait(t)
	}
	branches := decode[[]struct {
		ID string `json:"bran_id"`
	}](t, a.want(t, http.StatusOK))
	if len(branches) == 0 {
		t.Fatal("there is no branch")
	}
	return branches[0].ID
}

// database connects as the superuser.
func (s *system) database(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// scalar returns the single value of a query.
func scalar[T any](t *testing.T, conn *pgx.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// logs keeps the services' log lines and notifies waiters.
type logs struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed, and replaced, with each line
	heard logtest.Recorder
}

func newLogs() *logs { return &logs{more: make(chan struct{})} }

func (l *logs) line(service string, line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, service+" "+string(line))
	_, _ = fmt.Fprintf(&l.heard, "%s %s\n", service, bytes.TrimSpace(line)) // writes to memory never fail
	close(l.more)
	l.more = make(chan struct{})
}

// wait waits until the service has logged msg.
func (l *logs) wait(t *testing.T, service, msg string) {
	t.Helper()
	for seen := 0; ; {
		l.mu.Lock()
		lines, more := l.lines[seen:], l.more
		l.mu.Unlock()
		for _, line := range lines {
			if strings.HasPrefix(line, service+" ") && strings.Contains(line, `"msg":"`+msg+`"`) {
				return
			}
		}
		seen += len(lines)
		select {
		case <-more:
		case <-t.Context().Done():
			t.Fatalf("%s never logged %q", service, msg)
		}
	}
}

// mustKeepSecrets fails the test if the logs contain a secret: one that the stack
// generated in its folder, or one that the test sent.
func (l *logs) mustKeepSecrets(t *testing.T, folder string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{}
	if err := json.Unmarshal(text, &secrets); err != nil {
		t.Fatal(err)
	}
	if len(secrets) == 0 {
		t.Error("the stack has no secrets")
	}
	if l.heard.String() == "" {
		t.Error("nothing was logged, so nothing was looked at")
	}
	l.heard.Learn(slices.Collect(maps.Values(secrets))...)
	for _, leak := range l.heard.Leaks() {
		t.Error(leak)
	}
}

// dump logs the last lines.
func (l *logs) dump(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines[max(0, len(l.lines)-40):] {
		t.Log(line)
	}
}
