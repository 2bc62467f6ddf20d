package traces_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/pizza/deploy/observability/traces"
)

// Spans from the services' exporter are stored and found by trace id.
func TestStore(t *testing.T) {
	t.Parallel()
	var store traces.Store
	web := httptest.NewServer(&store)
	t.Cleanup(web.Close)
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(web.URL+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "order"))))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	tracer := provider.Tracer("test")
	began := time.Now()
	ctx, root := tracer.Start(t.Context(), "POST /order/")
	_, child := tracer.Start(ctx, "InsertOrder")
	child.SetAttributes(attribute.Int("rows", 3))
	child.SetStatus(codes.Error, "refused")
	child.End()
	root.End()

	trace, ok := store.Trace(root.SpanContext().TraceID().String())
	if !ok || len(trace.Spans) != 2 || trace.Failed() || trace.Begin().Before(began) || trace.Took() <= 0 {
		t.Fatalf("kept %+v", trace)
	}
	first, second := trace.Spans[0], trace.Spans[1]
	if first.Name != "POST /order/" || first.Service != "order" || first.Parent != "" || first.Failed {
		t.Errorf("the root is %+v", first)
	}
	if trace.Root().ID != first.ID {
		t.Errorf("the root is %+v", trace.Root())
	}
	if second.Name != "InsertOrder" || second.Parent != first.ID || !second.Failed || len(second.Told) != 1 || second.Told[0] != "rows=3" {
		t.Errorf("the child is %+v", second)
	}
	others := func(n int) (first string) {
		for i := range n {
			_, other := tracer.Start(context.Background(), "other")
			other.End()
			if i == 0 {
				first = other.SpanContext().TraceID().String()
			}
		}
		return first
	}
	oldest := others(traces.Kept - 1)
	if _, ok := store.Trace(trace.ID); !ok { // it was opened, and stays
		t.Error("the opened trace is evicted")
	}
	others(1)
	latest := store.Latest()
	if len(latest) != traces.Kept || latest[len(latest)-1].ID != trace.ID || store.Has(oldest) {
		t.Errorf("%d traces are kept, the oldest other among them: %t", len(latest), store.Has(oldest))
	}
	others(traces.Kept)
	if _, ok := store.Trace(trace.ID); ok || len(store.Latest()) != traces.Kept {
		t.Errorf("%d traces are kept, and the oldest among them: %t", len(store.Latest()), ok)
	}
}

// TestFailed checks that the answer of the root decides, whatever its steps did.
func TestFailed(t *testing.T) {
	t.Parallel()
	root := func(status int, failed bool) traces.Span { return traces.Span{ID: "1", Status: status, Failed: failed} }
	step := func(parent string, status int, failed bool) traces.Span {
		return traces.Span{ID: "2", Parent: parent, Status: status, Failed: failed}
	}
	for name, test := range map[string]struct {
		spans []traces.Span
		want  bool
	}{
		"500":                       {[]traces.Span{root(500, true)}, true},
		"503, not marked":           {[]traces.Span{root(503, false)}, true},
		"400":                       {[]traces.Span{root(400, false), step("1", 0, true)}, false},
		"400, marked":               {[]traces.Span{root(400, true)}, false},
		"201 after a failed step":   {[]traces.Span{root(201, false), step("1", 503, true)}, false},
		"a step began before":       {[]traces.Span{step("1", 503, true), root(200, false)}, false},
		"a step of another one":     {[]traces.Span{step("9", 503, true), root(200, false)}, false},
		"a step, the root to come":  {[]traces.Span{step("1", 503, true)}, true},
		"a client's span is unseen": {[]traces.Span{step("9", 503, true), {ID: "3", Parent: "2"}}, true},
		"work without a request":    {[]traces.Span{root(0, false), step("1", 0, true)}, false},
		"failed work":               {[]traces.Span{root(0, true)}, true},
	} {
		if got := (traces.Trace{Spans: test.spans}).Failed(); got != test.want {
			t.Errorf("%s: failed is %t", name, got)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	var store traces.Store
	for media, body := range map[string]string{"application/json": "{}", "application/x-protobuf": "no spans"} {
		q := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(body))
		q.Header.Set("Content-Type", media)
		w := httptest.NewRecorder()
		store.ServeHTTP(w, q)
		if w.Code != http.StatusBadRequest || len(store.Latest()) != 0 {
			t.Errorf("%s: %d", media, w.Code)
		}
	}
}
