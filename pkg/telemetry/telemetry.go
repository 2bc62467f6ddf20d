// Package telemetry sends the traces of a process to an OpenTelemetry collector,
// or does nothing at no cost where there is none.
//
//	request ─ package server ─▶ span ─┬─ package postgres: a span per statement
//	                                  ├─ Transport: a span per call to a neighbour
//	                                  └─ package events: spans of who publishes and who consumes
//
// Only what begins a trace knows a Tracing: a server, and a transport of events.
// Everything below takes the provider from the span in its context
// (trace.Span.TracerProvider), so that there is a span of a statement or of a
// call exactly where there is one that it belongs to, and work that nobody asked
// for, such as polling, leaves no traces.
//
// Contexts pass from process to process as W3C Trace Context, also where nothing
// is recorded: the trace_id of the logs is the same everywhere.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Process is what the spans of a process have in common.
type Process struct{ Service, Version, Environment string }

// show has the metrics of a process tell its version: joined with others, it says
// which version they are of, and a roll-out shows as one line that replaces the
// other.
func (p Process) show(registry prometheus.Registerer) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "build_info", Help: "1 for the service and version that runs, where it runs, and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"service": p.Service, "version": p.Version, "env": p.Environment, "goversion": runtime.Version()},
	}, func() float64 { return 1 }))
}

// Tracing is the origin of a process's spans. The zero value is none: use Off.
type Tracing struct {
	trace.TracerProvider
	shutdown func(context.Context) error
	log      *slog.Logger
}

// Off records nothing.
func Off() *Tracing { return &Tracing{TracerProvider: noop.NewTracerProvider()} }

// Start tells registry which process this is, and returns a Tracing that sends to
// the collector of c, or Off. The collector need not be there: what it does not
// take is lost, counted in registry, and told once in the log.
func Start(ctx context.Context, c Config, p Process, log *slog.Logger, registry prometheus.Registerer) (*Tracing, error) {
	p.show(registry)
	endpoint := c.endpoint()
	if endpoint == "" {
		return Off(), nil
	}
	to, err := newExporter(ctx, c.Protocol, endpoint)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	// What the environment says (OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME) goes last, and wins.
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	described, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		semconv.ServiceName(p.Service), semconv.ServiceVersion(p.Version),
		semconv.DeploymentEnvironmentNameKey.String(p.Environment), semconv.ServiceInstanceID(fmt.Sprintf("%s-%d", host, os.Getpid())),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	var batch []sdktrace.BatchSpanProcessorOption
	if c.DelayMS > 0 {
		batch = append(batch, sdktrace.WithBatchTimeout(time.Duration(c.DelayMS)*time.Millisecond))
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(watch(to, log, registry), batch...), sdktrace.WithResource(described), sdktrace.WithSampler(c.sampler()),
		sdktrace.WithRawSpanLimits(limits()))
	return &Tracing{TracerProvider: provider, shutdown: provider.Shutdown, log: log}, nil
}

// longestValue bounds, in bytes, what a caller can put into a span, such as its
// User-Agent.
const longestValue = 1024

// limits are those of the environment (OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and
// others), or of the specification, which has no bound for values.
func limits() sdktrace.SpanLimits {
	l := sdktrace.NewSpanLimits()
	if l.AttributeValueLengthLimit < 0 {
		l.AttributeValueLengthLimit = longestValue
	}
	return l
}

func newExporter(ctx context.Context, protocol, endpoint string) (*otlptrace.Exporter, error) {
	if protocol == overGRPC {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(endpoint))
	}
	return otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
}

// flushTime bounds what a stopping process waits for its collector: it has
// already used up to SHUTDOWN_DELAY and SHUTDOWN_TIMEOUT.
const flushTime = 3 * time.Second

// Close sends what has not been sent, for a short time.
func (t *Tracing) Close() {
	if t.shutdown == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTime)
	defer cancel()
	if err := t.shutdown(ctx); err != nil {
		t.log.WarnContext(ctx, "the last traces were not sent", "error", err)
	}
}
