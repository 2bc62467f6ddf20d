package telemetry

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exporter counts the outcomes of spans, and logs when the collector goes away and when it
// comes back. The SDK would write a line to stderr for every batch.
type exporter struct {
	sdktrace.SpanExporter
	log   *slog.Logger
	spans *prometheus.CounterVec
	away  atomic.Bool
}

// The outcomes of a span, as label values.
const (
	sent = "sent"
	lost = "lost"
)

func watch(to sdktrace.SpanExporter, log *slog.Logger, registry prometheus.Registerer) *exporter {
	e := &exporter{SpanExporter: to, log: log, spans: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "trace_spans_exported_total", Help: "Spans that were due to be sent to the collector, by outcome: sent or lost.",
	}, []string{"outcome"})}
	for _, outcome := range []string{sent, lost} {
		e.spans.WithLabelValues(outcome) // so that the first one is an increase
	}
	registry.MustRegister(e.spans)
	return e
}

// ExportSpans implements sdktrace.SpanExporter. It never fails: the SDK could not handle
// an error.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	outcome := sent
	if err != nil {
		outcome = lost
	}
	e.spans.WithLabelValues(outcome).Add(float64(len(spans)))
	switch was := e.away.Swap(err != nil); {
	case err != nil && !was:
		e.log.WarnContext(ctx, "traces cannot be sent", "error", err)
	case err == nil && was:
		e.log.InfoContext(ctx, "traces are sent again")
	}
	return nil
}
