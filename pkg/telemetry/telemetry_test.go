package telemetry_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/testkit/telemetrytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load reads a configuration as a service does.
func load(t *testing.T, environ ...string) telemetry.Config {
	t.Helper()
	c, err := config.Load[telemetry.Config](environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, c telemetry.Config, log io.Writer, registry *prometheus.Registry) *telemetry.Tracing {
	t.Helper()
	traces, err := telemetry.Start(t.Context(), c, telemetry.Process{Service: "oven", Version: "v7", Environment: "cellar"},
		slog.New(slog.NewTextHandler(log, nil)), registry)
	if err != nil {
		t.Fatal(err)
	}
	return traces
}

// All variables of the specification lead to the collector, and a stopping process
// sends its last spans.
func TestSpansReachTheCollector(t *testing.T) {
	t.Parallel()
	to := telemetrytest.Start(t)
	for name, environ := range map[string][]string{
		"http":        {"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.HTTP},
		"http_slash":  {"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.HTTP + "/"},
		"http_traces": {"OTEL_EXPORTER_OTLP_ENDPOINT=http://nowhere.invalid", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + to.HTTP + "/v1/traces"},
		"grpc":        {"OTEL_EXPORTER_OTLP_ENDPOINT=" + to.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
		"grpc_traces": {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + to.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			traces := start(t, load(t, environ...), io.Discard, registry)
			_, span := traces.Tracer("test").Start(t.Context(), name)
			span.End()
			traces.Close()
			var got telemetrytest.Span
			to.Await(t, func(all []telemetrytest.Span) bool {
				for _, s := range all {
					if s.Name == name {
						got = s
						return true
					}
				}
				return false
			})
			if got.TraceID != span.SpanContext().TraceID().String() {
				t.Errorf("trace %s", got.TraceID)
			}
			want := map[string]string{"service.name": "oven", "service.version": "v7", "deployment.environment.name": "cellar"}
			for key, value := range want {
				if got.Resource[key] != value {
					t.Errorf("%s is %q, want %q", key, got.Resource[key], value)
				}
			}
			mustCount(t, registry, 1, 0)
		})
	}
}

func mustCount(t *testing.T, registry *prometheus.Registry, sent, lost int) {
	t.Helper()
	want := strings.NewReplacer("SENT", string(rune('0'+sent)), "LOST", string(rune('0'+lost))).Replace(`
		# HELP trace_spans_exported_total Spans that were due to be sent to the collector, by outcome: sent or lost.
		# TYPE trace_spans_exported_total counter
		trace_spans_exported_total{outcome="lost"} LOST
		trace_spans_exported_total{outcome="sent"} SENT
	`)
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "trace_spans_exported_total"); err != nil {
		t.Error(err)
	}
}

// Spans that a collector rejects are lost, with one line in the log.
func TestCollectorThatRefuses(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	defer refusing.Close()
	registry := prometheus.NewRegistry()
	var log bytes.Buffer
	traces := start(t, load(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+refusing.URL), &log, registry)
	for range 2 {
		_, span := traces.Tracer("test").Start(t.Context(), "span")
		span.End()
	}
	traces.Close()
	mustCount(t, registry, 0, 2)
	if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("%d lines: %s", n, &log)
	}
}

// Without an endpoint, or if tracing is disabled, nothing is recorded, and
// build_info is the only metric.
func TestOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]telemetry.Config{
		"no_endpoint": load(t),
		"disabled":    load(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://nowhere.invalid", "OTEL_SDK_DISABLED=true"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			traces := start(t, c, io.Discard, registry)
			defer traces.Close()
			if _, span := traces.Tracer("test").Start(t.Context(), "span"); span.IsRecording() {
				t.Error("recorded")
			}
			want := fmt.Sprintf(`
				# HELP build_info 1 for the service and version that runs, where it runs, and the version of Go that built it.
				# TYPE build_info gauge
				build_info{env="cellar",goversion=%q,service="oven",version="v7"} 1
			`, runtime.Version())
			if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Long values from callers are truncated in spans.
func TestValuesAreCut(t *testing.T) {
	t.Parallel()
	to := telemetrytest.Start(t)
	traces := start(t, load(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+to.HTTP), io.Discard, prometheus.NewRegistry())
	_, span := traces.Tracer("test").Start(t.Context(), "span")
	span.SetAttributes(attribute.String("user_agent.original", strings.Repeat("x", 1<<20)))
	span.End()
	traces.Close()
	spans := to.Await(t, func(all []telemetrytest.Span) bool { return len(all) > 0 })
	if n := len(spans[0].Attributes["user_agent.original"]); n != 1024 {
		t.Errorf("%d bytes were sent", n)
	}
}

func TestSamplers(t *testing.T) {
	t.Parallel()
	to := telemetrytest.Start(t)
	got := map[string]bool{}
	for _, sampler := range []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"} {
		traces := start(t, load(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+to.HTTP, "OTEL_TRACES_SAMPLER="+sampler, "OTEL_TRACES_SAMPLER_ARG=0"), io.Discard, prometheus.NewRegistry())
		_, span := traces.Tracer("test").Start(t.Context(), "root")
		got[sampler] = span.IsRecording()
		traces.Close()
	}
	want := map[string]bool{
		"always_on": true, "always_off": false, "traceidratio": false,
		"parentbased_always_on": true, "parentbased_always_off": false, "parentbased_traceidratio": false,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	_, err := config.Load[telemetry.Config]([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=ftp://x", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
		"OTEL_TRACES_SAMPLER=parentbased_jaeger", "OTEL_TRACES_SAMPLER_ARG=NaN", "OTEL_SDK_DISABLED=maybe", "OTEL_BSP_SCHEDULE_DELAY=0",
	})
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT ", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_SAMPLER ", "OTEL_TRACES_SAMPLER_ARG", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_SDK_DISABLED",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported:\n%v", name, err)
		}
	}
}
