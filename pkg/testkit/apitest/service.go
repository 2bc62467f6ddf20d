package apitest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/pizza/pkg/testkit/logtest"
)

// Service is a service under test: its two ports, and a client that checks it
// against its document.
type Service struct {
	Public, Internal string // base addresses
	Client           *http.Client
	Log              *logtest.Recorder // must not contain secrets that Send sends; nil disables the check
}

// Handlers serve the two ports of a service.
type Handlers interface {
	Public() http.Handler
	Internal() http.Handler
}

// Serve serves both ports of a service until the test ends.
func Serve(tb testing.TB, s Handlers, document []byte) *Service {
	tb.Helper()
	public, internal := httptest.NewServer(s.Public()), httptest.NewServer(s.Internal())
	transport := &http.Transport{DisableCompression: true} // tests see the raw response
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		public.Close()
		internal.Close()
	})
	return &Service{
		Public: public.URL, Internal: internal.URL,
		Client: &http.Client{Transport: New(tb, transport, document)},
	}
}

// Logging sets the log and returns the service.
func (s *Service) Logging(log *logtest.Recorder) *Service {
	s.Log = log
	return s
}

// Answer is an HTTP response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends a request to the port that serves its path. header alternates names
// and values.
func (s *Service) Send(ctx context.Context, method, path, body string, header ...string) (a Answer, err error) {
	base := s.Public
	if strings.HasPrefix(path, "/int/") || strings.HasPrefix(path, "/api/int/") {
		base = s.Internal
	}
	r, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	if s.Log != nil {
		s.Log.LearnRequest(r.Header, body)
	}
	resp, err := s.Client.Do(r)
	if err != nil {
		return Answer{}, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	data, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, data}, err
}

// Call is like Send, but fails the test on an error.
func (s *Service) Call(tb testing.TB, method, path, body string, header ...string) Answer {
	tb.Helper()
	a, err := s.Send(tb.Context(), method, path, body, header...)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// Get reads a path.
func (s *Service) Get(tb testing.TB, path string, header ...string) Answer {
	tb.Helper()
	return s.Call(tb, http.MethodGet, path, "", header...)
}

// Post sends a body. If contentType is "", it sends no Content-Type.
func (s *Service) Post(tb testing.TB, path, contentType, body string, header ...string) Answer {
	tb.Helper()
	if contentType != "" {
		header = append([]string{"Content-Type", contentType}, header...)
	}
	return s.Call(tb, http.MethodPost, path, body, header...)
}

// Decode decodes the JSON of a response, which must have the given status.
func Decode[T any](tb testing.TB, a Answer, status int) T {
	tb.Helper()
	var v T
	if a.Status != status {
		tb.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	if err := json.Unmarshal(a.Body, &v); err != nil {
		tb.Fatalf("%v: %s", err, a.Body)
	}
	return v
}
