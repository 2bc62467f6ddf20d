// Package telemetry exports the traces of a process to an OpenTelemetry collector, or does
// nothing, at no cost, without one.
//
//	request ─ package server ─▶ span ─┬─ package postgres: a span per statement
//	                                  ├─ Transport: a span per call to another service
//	                                  └─ package events: spans of publishers and consumers
//
// Only a server and a transport of events, which begin traces, know a Tracing. Everything
// below takes the provider from the span in its context (trace.Span.TracerProvider), so
// that statements and calls have a span exactly if their request has one, and work
// without a request, such as polling, leaves no traces.
//
// Contexts pass from process to process as W3C Trace Context, even if nothing is
// recorded: the trace_id in the logs is the same everywhere.
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

// Process identifies the process of spans.
type Process struct{ Service, Version, Environment string }

// show exports the version of the process as a metric: joined with others, it shows the
// version that they belong to, and a roll-out appears as one line that replaces another.
func (p Process) show(registry prometheus.Registerer) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "build_info", Help: "1 for the service and version that runs, where it runs, and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"service": p.Service, "version": p.Version, "env": p.Environment, "goversion": runtime.Version()},
	}, func() float64 { return 1 }))
}

// Tracing is the origin of the spans of a process. Use Start or Off.
type Tracing struct {
	trace.TracerProvider
	shutdown func(context.Context) error
	log      *slog.Logger
}

// Off records nothing.
func Off() *Tracing { return &Tracing{TracerProvider: noop.NewTracerProvider()} }

// Start exports the version of the process to registry, and returns a Tracing that exports
// to the collector of c, or Off. The collector need not be up: spans that it does not
// accept are lost, counted in registry, and logged once.
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
	// The environment (OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME) takes precedence.
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

// longestValue bounds, in bytes, values of clients in spans, such as the User-Agent.
const longestValue = 1024

// limits returns the limits of the environment (OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and
// others), or those of the specification, with a bound for values.
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

// flushTime bounds the wait of a stopping process for its collector, in addition to
// SHUTDOWN_DELAY and SHUTDOWN_TIMEOUT.
const flushTime = 3 * time.Second

// Close exports the remaining spans, for a short time.
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
