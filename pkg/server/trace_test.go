package server_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/testkit/telemetrytest"
)

const (
	callersTrace = "0af7651916cd43dd8448eb211c80319c"
	callersSpan  = "b7ad6b7169203331"
)

// A request is a span named after its route, in the caller's trace. The log and the
// response have the same trace. The span has the error only if it is ours.
func TestRequestsAreSpans(t *testing.T) {
	t.Parallel()
	to := telemetrytest.Start(t)
	log := &lockedBuffer{}
	logger := logging.New(logging.Config{Level: slog.LevelError}, log, "test")
	traces, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: to.HTTP}, telemetry.Process{Service: "test"}, logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Config{RequestTimeout: 1 << 40}, logger, health.New(), server.NewRegistry(), traces)
	s.Router().GET("/pizza/:id/", func(c echo.Context) error {
		switch c.Param("id") {
		case "burnt":
			return errors.New("the oven is on fire")
		case "unknown":
			return fault.New(fault.NotFound, "no such pizza")
		}
		return c.NoContent(http.StatusNoContent)
	})
	for _, path := range []string{"/pizza/a/", "/api/pizza/burnt?secret=x", "/pizza/unknown", "/nothing/here", "/healthz", "/livez"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01")
		s.Public().ServeHTTP(httptest.NewRecorder(), r)
	}
	traces.Close()
	type span struct {
		Name, Kind, Trace, Parent, Path, Status string
		Error                                   bool
		Events                                  []string
	}
	var got []span
	for _, s := range to.Await(t, func(all []telemetrytest.Span) bool { return len(all) >= 4 }) {
		got = append(got, span{s.Name, s.Kind, s.TraceID, s.ParentID, s.Attributes["url.path"], s.Attributes["http.response.status_code"], s.Error, s.Events})
	}
	want := []span{
		{"GET /pizza/:id/", "server", callersTrace, callersSpan, "/pizza/a/", "204", false, nil},
		{"GET /pizza/:id/", "server", callersTrace, callersSpan, "/api/pizza/burnt", "500", true, []string{"exception"}},
		{"GET /pizza/:id/", "server", callersTrace, callersSpan, "/pizza/unknown", "404", false, nil},
		{"GET", "server", callersTrace, callersSpan, "/nothing/here", "404", false, nil},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if line := log.await(t, "trace_id"); line != callersTrace {
		t.Errorf("the log tells trace %s", line)
	}
}

// Without recording, each request still has a trace, the caller's or a new one. The
// sampling decision of another service is passed on, but not that of an outside
// caller.
func TestTraceWithoutRecording(t *testing.T) {
	t.Parallel()
	s := server.New(server.Config{RequestTimeout: 1 << 40}, slog.New(slog.DiscardHandler), health.New(), server.NewRegistry(), noop.NewTracerProvider())
	var sc trace.SpanContext
	for _, path := range []string{"/x/", "/int/x"} {
		s.Router().GET(path, func(c echo.Context) error {
			sc = trace.SpanContextFromContext(c.Request().Context())
			return nil
		})
	}
	for _, parent := range []string{"", "00-" + callersTrace + "-" + callersSpan + "-01", "00-" + callersTrace + "-" + callersSpan + "-00", "nonsense"} {
		for path, h := range map[string]http.Handler{"/x/": s.Public(), "/int/x": s.Internal()} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Traceparent", parent)
			h.ServeHTTP(httptest.NewRecorder(), r)
			if !sc.IsValid() || sc.SpanID().String() == callersSpan || sc.IsSampled() != (path == "/int/x" && strings.HasSuffix(parent, "-01")) ||
				(sc.TraceID().String() == callersTrace) != strings.HasPrefix(parent, "00-") {
				t.Errorf("%s: from %q came %+v", path, parent, sc)
			}
		}
	}
}

// Two traceparents are both ignored (W3C Trace Context, section 3.2).
func TestTwoTraceparents(t *testing.T) {
	t.Parallel()
	s, _ := start(config())
	r := httptest.NewRequest(http.MethodGet, "/x/", nil)
	r.Header["Traceparent"] = []string{"00-" + callersTrace + "-" + callersSpan + "-01", "00-" + callersTrace + "-" + callersSpan + "-01"}
	w := httptest.NewRecorder()
	s.Public().ServeHTTP(w, r)
	if p := readProblem(t, w.Result()); p.TraceID == callersTrace || len(p.TraceID) != 32 {
		t.Errorf("trace_id %q", p.TraceID)
	}
}

// An outside caller's sampled flag does not override the sampler. A calling
// service's flag is followed.
func TestOutsidersDoNotDecideWhatIsRecorded(t *testing.T) {
	t.Parallel()
	to := telemetrytest.Start(t)
	logger := slog.New(slog.DiscardHandler)
	traces, err := telemetry.Start(t.Context(), telemetry.Config{Endpoint: to.HTTP, Sampler: "parentbased_traceidratio"},
		telemetry.Process{Service: "test"}, logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(server.Config{RequestTimeout: 1 << 40}, logger, health.New(), server.NewRegistry(), traces)
	recorded := map[string]bool{}
	for _, path := range []string{"/x/", "/int/x"} {
		s.Router().GET(path, func(c echo.Context) error {
			recorded[path] = trace.SpanFromContext(c.Request().Context()).IsRecording()
			return c.NoContent(http.StatusNoContent)
		})
	}
	for path, h := range map[string]http.Handler{"/x/": s.Public(), "/int/x": s.Internal()} {
		do(h, "GET", path, "Traceparent", "00-00000000000000000000000000000001-"+callersSpan+"-01")
	}
	traces.Close()
	if diff := cmp.Diff(map[string]bool{"/x/": false, "/int/x": true}, recorded); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkRequest measures the cost of tracing for an empty request.
func BenchmarkRequest(b *testing.B) {
	for name, provider := range map[string]func(*testing.B) trace.TracerProvider{
		"off": func(*testing.B) trace.TracerProvider { return telemetry.Off() },
		"recorded": func(b *testing.B) trace.TracerProvider {
			to := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
			b.Cleanup(to.Close)
			t, err := telemetry.Start(b.Context(), telemetry.Config{Endpoint: to.URL}, telemetry.Process{Service: "test"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(t.Close)
			return t
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := server.New(server.Config{RequestTimeout: 1 << 40}, slog.New(slog.DiscardHandler), health.New(), server.NewRegistry(), provider(b))
			s.Router().GET("/x/", func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
			r := httptest.NewRequest(http.MethodGet, "/x/", nil)
			b.ReportAllocs()
			for b.Loop() {
				s.Public().ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
