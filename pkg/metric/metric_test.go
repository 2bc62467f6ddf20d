package metric_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/metric"
)

// An observation in a request has an exemplar with its trace. An observation outside
// of one is counted too.
func TestObserve(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	h := prometheus.NewHistogram(metric.Native(prometheus.HistogramOpts{Name: "baking_seconds", Help: "Time in the oven.", Buckets: []float64{1, 60}}))
	registry.MustRegister(h)
	id := trace.TraceID{15: 1}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{7: 2}}))
	metric.Observe(ctx, h, 2*time.Second)
	metric.Observe(context.Background(), h, 3*time.Second)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := families[0].Metric[0].Histogram
	if got.GetSampleCount() != 2 || got.GetSampleSum() != 5 {
		t.Errorf("observed %v", got)
	}
	if got.Schema == nil || len(got.PositiveSpan) == 0 {
		t.Error("not a native histogram")
	}
	if l := got.Bucket[1].GetExemplar().GetLabel(); len(l) != 1 || l[0].GetName() != "trace_id" || l[0].GetValue() != id.String() {
		t.Errorf("the exemplar is of %v", l)
	}
}

// BenchmarkObserve measures the cost of one observation in a request.
func BenchmarkObserve(b *testing.B) {
	h := prometheus.NewHistogramVec(metric.Native(prometheus.HistogramOpts{
		Name: "baking_seconds", Help: "Time in the oven.", Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}), []string{"pizza"})
	ctx := trace.ContextWithSpanContext(b.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}}))
	b.ReportAllocs()
	for b.Loop() {
		metric.Observe(ctx, h.WithLabelValues("bbq"), 3*time.Millisecond)
	}
}
