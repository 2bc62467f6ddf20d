package parity

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// sender sends a request, and returns the status and the body of the answer.
type sender func(method, path, body string, headers ...string) (int, string)

// mirrorOf starts a mirror, and returns a client's function and one that stops it.
func mirrorOf(t *testing.T, o Options) (m *Mirror, send sender, stop func() *Report) {
	t.Helper()
	m = NewMirror(t.Context(), o, slog.New(slog.NewTextHandler(t.Output(), nil)))
	server := httptest.NewServer(m)
	send = func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(content)
	}
	return m, send, func() *Report {
		server.Close()
		return m.Stop()
	}
}

// until waits for a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// TestMirror checks that the old system answers everything, and the new one gets reads alone,
// with the token and without cookies.
func TestMirror(t *testing.T) {
	t.Parallel()
	old := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		says(200, fmt.Sprintf(`{"path":%q,"body":%q,"token":%q}`, r.URL.Path, body, r.Header.Get("Authorization")))(w, r)
	}
	asked := make(chan string, 100)
	ours := func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.RequestURI() + r.Header.Get("Cookie")
		if r.URL.Path == "/api/order/branch/" {
			says(200, `{"path":"another"}`)(w, r)
			return
		}
		old(w, r)
	}
	m, send, stop := mirrorOf(t, options(t, http.HandlerFunc(old), http.HandlerFunc(ours)))
	for _, q := range [][2]string{
		{"GET", "/api/menu/?q=a"}, {"POST", "/api/menu/get_pizza_id/"}, {"GET", "/api/order/branch/"},
		{"POST", "/api/order/"}, {"GET", "/api/login/logout/"}, {"DELETE", "/api/menu/"},
	} {
		body := ""
		if q[0] == "POST" {
			body = "a=b"
		}
		status, got := send(q[0], q[1], body, "Authorization: Bearer x", "Cookie: session=1")
		path, _, _ := strings.Cut(q[1], "?")
		if want := `{"path":"` + path + `","body":"` + body + `","token":"Bearer x"}`; status != 200 || got != want {
			t.Errorf("%v: %d %s; want %s", q, status, got, want)
		}
	}
	until(t, "three comparisons", func() bool { return m.recorder.now().Totals.Requests == 3 })
	page := httptest.NewRecorder()
	m.Report().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(page.Body.String(), "<code>GET /api/order/branch/</code>") {
		t.Errorf("the page %s", page.Body)
	}
	raw := httptest.NewRecorder()
	m.Report().ServeHTTP(raw, httptest.NewRequest(http.MethodGet, "/report.json", nil))
	var report Report
	if err := json.Unmarshal(raw.Body.Bytes(), &report); err != nil || report.Totals.Different != 1 || report.At.IsZero() {
		t.Errorf("%v: %s", err, raw.Body)
	}
	final := stop()
	want := Counts{Requests: 3, Same: 2, Different: 1}
	if final.Totals != want || final.LeftOut != 3 || strings.Contains(raw.Body.String(), "Bearer x") {
		t.Errorf("%+v, %d left out", final.Totals, final.LeftOut)
	}
	close(asked)
	for q := range asked {
		if q != "GET /api/menu/?q=a" && q != "POST /api/menu/get_pizza_id/" && q != "GET /api/order/branch/" {
			t.Errorf("the new system was asked %s", q)
		}
	}
}

// TestMirrorKeepsTheRequest checks what the old system learns of the client.
func TestMirrorKeepsTheRequest(t *testing.T) {
	t.Parallel()
	old := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get("X-Forwarded-For"))
	}
	m := NewMirror(t.Context(), options(t, http.HandlerFunc(old), http.HandlerFunc(old)), slog.New(slog.DiscardHandler))
	r := httptest.NewRequest(http.MethodPost, "/api/order/", nil)
	r.Host = "pizza.example"
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("X-Forwarded-For", "198.51.100.7")
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	m.Stop()
	if got := w.Body.String(); got != "pizza.example https 198.51.100.7, 192.0.2.1" {
		t.Error(got)
	}
}

// TestMirrorNeverSlowsTheAnswer has a new system that hangs: all answers come, the queue fills,
// and the rest is counted as dropped.
func TestMirrorNeverSlowsTheAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var waiting atomic.Int32
	ours := func(w http.ResponseWriter, r *http.Request) {
		waiting.Add(1)
		<-release
		says(200, `1`)(w, r)
	}
	o := options(t, says(200, `1`), http.HandlerFunc(ours))
	o.Timeout, o.Concurrency = time.Minute, 2
	m, send, stop := mirrorOf(t, o)
	for range o.Concurrency { // each worker has one
		send(http.MethodGet, "/api/menu/", "")
	}
	until(t, "the workers wait", func() bool { return waiting.Load() == 2 })
	const tooMany = 10
	for range queued + tooMany {
		if status, body := send(http.MethodGet, "/api/menu/", ""); status != 200 || body != "1" {
			t.Fatalf("%d %s", status, body)
		}
	}
	until(t, "the queue is full", func() bool { return m.recorder.now().Dropped == tooMany })
	close(release)
	if report := stop(); !report.Parity || report.Totals.Same != queued+2 || report.Dropped != tooMany {
		t.Errorf("%+v, %d dropped", report.Totals, report.Dropped)
	}
}

// TestMirrorLeavesOut has answers of the old system that are no measure.
func TestMirrorLeavesOut(t *testing.T) {
	t.Parallel()
	zipped := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "application/json")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "[1, 2]")
		_ = z.Close()
	}
	tests := map[string]struct {
		old     http.HandlerFunc
		leftOut int
	}{
		"not_modified": {says(304, ""), 1},
		"huge":         {says(200, strings.Repeat(" ", 2<<20)), 1},
		"brotli":       {says(200, "x", "Content-Encoding: br"), 1},
		"events":       {says(200, "data: 1\n\n", "Content-Type: text/event-stream"), 1},
		"gzip":         {zipped, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, send, stop := mirrorOf(t, options(t, tc.old, says(200, "[1,2.0]")))
			send(http.MethodGet, "/api/menu/", "", "Accept-Encoding: gzip")
			if report := stop(); report.LeftOut != tc.leftOut || report.Totals.Same != 1-tc.leftOut {
				t.Errorf("%+v, %d left out", report.Totals, report.LeftOut)
			}
		})
	}
}

// TestClientHangsUp checks that half an answer is not compared, and that the mirror goes on.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	gone := make(chan struct{})
	old := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/menu/" {
			says(200, "1")(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "[1,")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(gone)
	}
	ours := func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		says(200, "1")(w, r)
	}
	m, send, stop := mirrorOf(t, options(t, http.HandlerFunc(old), http.HandlerFunc(ours)))
	front := httptest.NewServer(m)
	defer front.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, front.URL+"/api/menu/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	hangUp()
	_ = answer.Body.Close()
	<-gone
	until(t, "it is left out", func() bool { return m.recorder.now().LeftOut == 1 })
	send(http.MethodGet, "/api/order/branch/", "")
	front.Close()
	if report := stop(); report.Totals != (Counts{Requests: 1, Same: 1}) || asked.Load() != 1 {
		t.Errorf("%+v, asked %d times", report.Totals, asked.Load())
	}
}

func TestOldSystemDown(t *testing.T) {
	t.Parallel()
	o := options(t, says(200, "1"), says(200, "1"))
	gone := httptest.NewServer(says(200, "1"))
	gone.Close()
	o.Old, _ = ParseBase(gone.URL)
	_, send, stop := mirrorOf(t, o)
	if status, _ := send(http.MethodGet, "/api/menu/", ""); status != http.StatusBadGateway {
		t.Errorf("status %d", status)
	}
	if report := stop(); report.Parity || report.Totals.Requests != 0 {
		t.Errorf("%+v: nothing was compared", report.Totals)
	}
}
