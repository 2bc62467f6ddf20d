package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/metric"
)

// Kinds of errors, as label values.
const (
	unreachable = "unreachable" // no connection, or one that broke
	refusing    = "refusing"    // the server is there: shutting down, out of connections, giving way to another transaction
	timedOut    = "timeout"     // of the statement, or of the request while it waited
	cancelled   = "cancelled"   // by the caller
	constraint  = "constraint"  // what was written breaks a rule of the table
	otherwise   = "other"
)

// metrics are the numbers of one pool, named like those of OpenTelemetry
// ("Semantic conventions for database client metrics"). Operations are named as
// in spans: as many as there are statements in the code.
type metrics struct {
	waiting  prometheus.Gauge
	wait     prometheus.Histogram
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
}

// buckets of both histograms, in seconds: a look-up takes less than 1 ms, and
// DB_STATEMENT_TIMEOUT ends all at 5 s.
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
			Help: "Connections and statements that failed, by kind: unreachable, refusing (by the server), timeout, cancelled, constraint, other.",
		}, []string{"kind"}),
	}
	for _, kind := range []string{unreachable, refusing, timedOut, cancelled, constraint, otherwise} {
		m.errors.WithLabelValues(kind) // so that the first one is an increase
	}
	registry.MustRegister(m.waiting, m.wait, m.duration, m.errors)
	return m
}

// show registers what the pool itself knows.
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

// begun is what the end of an operation needs to know of its beginning.
type begun struct {
	at   time.Time
	name string
}

type begunKey struct{}

func (m *metrics) begin(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, begunKey{}, begun{time.Now(), name})
}

func (m *metrics) end(ctx context.Context, err error) {
	if b, ok := ctx.Value(begunKey{}).(begun); ok {
		metric.Observe(ctx, m.duration.WithLabelValues(b.name), time.Since(b.at))
	}
	m.failed(err)
}

func (m *metrics) failed(err error) {
	if err != nil {
		m.errors.WithLabelValues(kind(err)).Inc()
	}
}

// kind tells what has to be done about an error, and by whom.
func kind(err error) string {
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, context.Canceled):
		return cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case !errors.As(err, &pg):
		return unreachable
	case pg.Code == queryCancelled:
		return timedOut
	case away(pg.Code):
		return refusing
	case pg.Code[:2] == "23":
		return constraint
	}
	return otherwise
}

// queryCancelled is what the server answers to a statement that ran too long.
const queryCancelled = "57014"

// TraceAcquireStart implements pgxpool.AcquireTracer.
func (t tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	t.metrics.waiting.Inc()
	return t.metrics.begin(ctx, "")
}

// TraceAcquireEnd implements pgxpool.AcquireTracer.
func (t tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	t.metrics.waiting.Dec()
	if b, ok := ctx.Value(begunKey{}).(begun); ok {
		t.metrics.wait.Observe(time.Since(b.at).Seconds())
	}
	t.metrics.failed(data.Err)
}
