package telemetry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/telemetry"
)

// call sends a request through Transport, and returns the traceparent that
// arrived.
func call(ctx context.Context, t *testing.T, status int) (arrived string) {
	t.Helper()
	neighbor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived = r.Header.Get("Traceparent")
		w.WriteHeader(status)
	}))
	defer neighbor.Close()
	client := &http.Client{Transport: telemetry.Transport(neighbor.Client().Transport)}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, neighbor.URL+"/bake?secret=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Body.Close(); err != nil {
		t.Error(err)
	}
	if r.Header.Get("Traceparent") != "" {
		t.Error("the request of the caller was changed")
	}
	return arrived
}

// A call in a recorded trace is a span. It is the parent of the spans of the called
// service, and failed if that failed.
func TestCallsAreSpans(t *testing.T) {
	t.Parallel()
	for status, failed := range map[int]bool{http.StatusOK: false, http.StatusInternalServerError: true} {
		recorder := tracetest.NewSpanRecorder()
		traces := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
		ctx, request := traces.Tracer("test").Start(t.Context(), "request")
		arrived := call(ctx, t, status)
		spans := recorder.Ended()
		if len(spans) != 1 {
			t.Fatalf("%d spans", len(spans))
		}
		s := spans[0]
		if s.Name() != "POST /bake" || s.SpanKind() != trace.SpanKindClient || s.Parent().SpanID() != request.SpanContext().SpanID() {
			t.Errorf("%s %v of %v", s.SpanKind(), s.Name(), s.Parent())
		}
		if got := s.Status().Code == codes.Error; got != failed {
			t.Errorf("%d failed: %v", status, got)
		}
		if want := "00-" + s.SpanContext().TraceID().String() + "-" + s.SpanContext().SpanID().String() + "-01"; arrived != want {
			t.Errorf("%s arrived, not %s", arrived, want)
		}
	}
}

// A call that is not recorded still propagates its trace.
func TestCallsWithoutRecording(t *testing.T) {
	t.Parallel()
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}})
	if got := call(trace.ContextWithSpanContext(t.Context(), sc), t, http.StatusOK); got != "00-00000000000000000000000000000001-0000000000000002-00" {
		t.Errorf("%s arrived", got)
	}
	if got := call(t.Context(), t, http.StatusOK); got != "" {
		t.Errorf("%s arrived from outside of a trace", got)
	}
}
