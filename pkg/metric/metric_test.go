package metric_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
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

// Each bucket of a series has an exemplar that is at most a second older than its last
// observation.
func TestSeries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := prometheus.NewHistogram(metric.Native(prometheus.HistogramOpts{Name: "baking_seconds", Help: "Time in the oven.", Buckets: []float64{1, 60}}))
		s := metric.NewSeries(h, []float64{1, 60})
		for id, test := range []struct {
			took time.Duration
			want [3]byte // the trace of the exemplar of each bucket
		}{
			1: {2 * time.Second, [3]byte{0, 1, 0}},
			2: {3 * time.Second, [3]byte{0, 1, 0}}, // the bucket has just got one
			3: {time.Second, [3]byte{3, 1, 0}},     // the bound of a bucket belongs to it
			4: {time.Hour, [3]byte{3, 1, 4}},
			5: {time.Minute, [3]byte{3, 5, 4}}, // a second later
		} {
			if id == 0 {
				continue
			}
			if id == 5 {
				time.Sleep(time.Second)
			}
			sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: byte(id)}, SpanID: trace.SpanID{7: 2}})
			s.Observe(trace.ContextWithSpanContext(t.Context(), sc), test.took)
			var got dto.Metric
			if err := h.Write(&got); err != nil {
				t.Fatal(err)
			}
			if n := got.Histogram.GetSampleCount(); n != uint64(id) {
				t.Errorf("%d observed, want %d", n, id)
			}
			for i, bucket := range got.Histogram.Bucket {
				want := ""
				if test.want[i] > 0 {
					want = trace.TraceID{15: test.want[i]}.String()
				}
				label := ""
				for _, l := range bucket.GetExemplar().GetLabel() {
					label = l.GetValue()
				}
				if label != want {
					t.Errorf("after %d: bucket %v has exemplar %q, want %q", id, bucket.GetUpperBound(), label, want)
				}
			}
		}
	})
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
