package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/metric"
)

// metrics are the metrics of one pool, named like those of OpenTelemetry
// ("Semantic conventions for database client metrics"). Operations have the names
// of spans, so there are as many as there are statements in the code.
type metrics struct {
	waiting  prometheus.Gauge
	wait     prometheus.Histogram
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
}

// buckets returns the buckets of both histograms, in seconds: a look-up takes
// less than 1 ms, and DB_STATEMENT_TIMEOUT ends every statement after 5 s.
func buckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
}

func newMetrics(registry prometheus.Registerer, pool string) *metrics {
	of := prometheus.Labels{"pool": pool}
	m := &metrics{
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "db_client_connection_pending_requests", ConstLabels: of,
			Help: "Requests that wait for a connection to the database.",
		}),
		wait: prometheus.NewHistogram(metric.Native(prometheus.HistogramOpts{
			Name: "db_client_connection_wait_seconds", ConstLabels: of, Buckets: buckets(),
			Help: "How long requests waited for a connection to the database, and for its being made.",
		})),
		duration: prometheus.NewHistogramVec(metric.Native(prometheus.HistogramOpts{
			Name: "db_client_operation_duration_seconds", ConstLabels: of, Buckets: buckets(),
			Help: "Time of a statement, or batch, by its name in the code.",
		}), []string{"operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "db_client_errors_total", ConstLabels: of,
			Help: "Failed connections and statements, by kind: unreachable, refusing (by the server), unusable (an operator has to act), " +
				"timeout, canceled, constraint, unkeepable (text), other.",
		}, []string{"kind"}),
	}
	for _, kind := range kinds() {
		m.errors.WithLabelValues(kind) // so that the first one is an increase
	}
	registry.MustRegister(m.waiting, m.wait, m.duration, m.errors)
	return m
}

// show registers the metrics that the pool itself keeps.
func show(registry prometheus.Registerer, p *pgxpool.Pool, pool string) {
	gauge := func(name, help string, labels prometheus.Labels, value func(*pgxpool.Stat) int32) {
		labels["pool"] = pool
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value(p.Stat())) }))
	}
	const open = "db_client_connections"
	const help = "Connections to the database, by state: used, idle, or connecting."
	gauge(open, help, prometheus.Labels{"state": "used"}, (*pgxpool.Stat).AcquiredConns)
	gauge(open, help, prometheus.Labels{"state": "idle"}, (*pgxpool.Stat).IdleConns)
	gauge(open, help, prometheus.Labels{"state": "connecting"}, (*pgxpool.Stat).ConstructingConns)
	gauge("db_client_connections_max", "Most connections to the database that the pool opens.", prometheus.Labels{}, (*pgxpool.Stat).MaxConns)
}

// operation is a running statement or batch, or a wait for a connection.
type operation struct {
	start time.Time
	name  string
	ended bool
}

type operationKey struct{}

func begin(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, operationKey{}, &operation{start: time.Now(), name: name})
}

// end observes the operation of ctx, and reports whether this was its first end:
// pgx ends a batch that fails early twice, once when it is sent and once when its
// results are closed.
func (m *metrics) end(ctx context.Context, err error) bool {
	o, ok := ctx.Value(operationKey{}).(*operation)
	if !ok || o.ended {
		return false
	}
	o.ended = true
	metric.Observe(ctx, m.duration.WithLabelValues(o.name), time.Since(o.start))
	m.failed(err)
	return true
}

func (m *metrics) failed(err error) {
	if err != nil {
		m.errors.WithLabelValues(kind(err)).Inc()
	}
}

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (t tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	t.metrics.waiting.Inc()
	return begin(ctx, "")
}

// TraceAcquireEnd implements pgxpool.AcquireTracer. An attempt to connect that
// failed has been counted by TraceConnectEnd.
func (t tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	t.metrics.waiting.Dec()
	if o, ok := ctx.Value(operationKey{}).(*operation); ok {
		t.metrics.wait.Observe(time.Since(o.start).Seconds())
	}
	var connect *pgconn.ConnectError
	if !errors.As(data.Err, &connect) {
		t.metrics.failed(data.Err)
	}
}

// TraceConnectStart implements pgx.ConnectTracer.
func (tracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer. It counts every failed attempt to
// connect, also one that no request waits for any more.
func (t tracer) TraceConnectEnd(_ context.Context, data pgx.TraceConnectEndData) {
	t.metrics.failed(data.Err)
}
