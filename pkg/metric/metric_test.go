package metric_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/metric"
)

// What is observed in a request leads to its trace, in both forms of a
// histogram; what is observed outside of one is counted all the same.
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
	for name, e := range map[string]*dto.Exemplar{"classic": got.Bucket[1].Exemplar, "native": got.Exemplars[0]} {
		if l := e.GetLabel(); len(l) != 1 || l[0].GetName() != "trace_id" || l[0].GetValue() != id.String() {
			t.Errorf("the %s exemplar is of %v", name, l)
		}
	}
}
