package parity

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/migrations"
	"example.com/pizza/pkg/secret"
	"example.com/pizza/pkg/testkit/pgtest"
)

// TestSystem replays the reads of the contract against the real services: they have parity with
// themselves, and one price that a proxy changes is found.
func TestSystem(t *testing.T) {
	t.Parallel()
	os.Getenv("TEST_RUN") // a change of the services is noticed by the cache of go test
	o := Options{
		Timeout: time.Minute, Again: time.Millisecond, Concurrency: 4, MaxBody: 1 << 20,
		Logins: map[string]secret.Text{migrations.DemoMember: migrations.DemoPassword},
	}
	var err error
	if o.Rules, err = ReadRules(""); err != nil {
		t.Fatal(err)
	}
	if o.Old, err = ParseBase(startSystem(t).URL()); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("requests.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	requests, leftOut, err := ReadRequests(file, false)
	if err != nil || leftOut > 0 {
		t.Fatalf("%d left out, %v", leftOut, err)
	}

	o.New = o.Old
	const errors = 3 // each with a trace_id of its own
	itself := replay(t, o, requests...)
	if want := (Counts{Requests: len(requests), Same: len(requests) - errors, Intended: errors}); itself.Totals != want {
		t.Errorf("with itself: %+v, %+v", itself.Totals, itself.Recent)
	}

	broken := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(o.Old)
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(answer *http.Response) error {
			body, err := io.ReadAll(answer.Body)
			body = bytes.Replace(body, []byte(`"price":20.75`), []byte(`"price":20.5`), 1)
			answer.Body = io.NopCloser(bytes.NewReader(body))
			answer.Header.Del("Content-Length")
			return err
		},
	})
	defer broken.Close()
	if o.New, err = ParseBase(broken.URL); err != nil {
		t.Fatal(err)
	}
	report := replay(t, o, requests[0], requests[2]) // the menu, and the types, which have no price
	if report.Totals != (Counts{Requests: 2, Same: 1, Different: 1}) {
		t.Fatalf("one price differs: %+v, %+v", report.Totals, report.Recent)
	}
	if d := report.Recent[0].Differences; len(d) != 1 || d[0].What != "body /*/price" || d[0].Count != 1 ||
		d[0].Old != "20.75" || d[0].New != "20.5" {
		t.Errorf("differences %+v", d)
	}
}

// startSystem starts the stack in a folder that PostgreSQL's account can read.
func startSystem(t *testing.T) *stack.Stack {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	folder := pgtest.Folder(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	s, err := stack.Start(ctx, stack.Options{Root: root, DataDir: folder, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}
