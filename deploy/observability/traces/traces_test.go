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
	if !ok || len(trace.Spans) != 2 || !trace.Failed() || trace.Begin().Before(began) || trace.Took() <= 0 {
		t.Fatalf("kept %+v", trace)
	}
	first, second := trace.Spans[0], trace.Spans[1]
	if first.Name != "POST /order/" || first.Service != "order" || first.Parent != "" || first.Failed {
		t.Errorf("the root is %+v", first)
	}
	if second.Name != "InsertOrder" || second.Parent != first.ID || !second.Failed || len(second.Told) != 1 || second.Told[0] != "rows=3" {
		t.Errorf("the child is %+v", second)
	}
	for range traces.Kept {
		_, other := tracer.Start(context.Background(), "other")
		other.End()
	}
	if _, ok := store.Trace(trace.ID); ok || len(store.Latest()) != traces.Kept {
		t.Errorf("%d traces are kept, and the oldest among them: %t", len(store.Latest()), ok)
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
