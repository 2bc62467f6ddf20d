package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// tracer measures each statement or batch, and records a span of it in a trace
// that is recorded. It never records the values of a statement. otelpgx would not
// replace it: it reports to OpenTelemetry's metrics alone, and counts a batch that
// fails early twice, as pgx reports it.
type tracer struct {
	server  []attribute.KeyValue
	metrics *metrics
}

var (
	_ pgx.QueryTracer       = tracer{}
	_ pgx.BatchTracer       = tracer{}
	_ pgx.ConnectTracer     = tracer{}
	_ pgxpool.AcquireTracer = tracer{}
)

func newTracer(c Config, m *metrics) tracer {
	return tracer{metrics: m, server: []attribute.KeyValue{
		semconv.DBSystemNamePostgreSQL, semconv.DBNamespace(c.Name), semconv.ServerAddress(c.Host), semconv.ServerPort(int(c.Port)),
	}}
}

// start begins an operation, and its span in the trace that ctx belongs to.
func (t tracer) start(ctx context.Context, sql string, statements int) context.Context {
	name := statement(sql)
	ctx = begin(ctx, name)
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx
	}
	attributes := slices.Concat(t.server, []attribute.KeyValue{semconv.DBOperationName(name)})
	if statements > 1 {
		attributes = append(attributes, semconv.DBOperationBatchSize(statements))
	}
	ctx, _ = parent.TracerProvider().Tracer("example.com/pizza/pkg/postgres").
		Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return ctx
}

// end ends the operation that start began. If start began no span, the span of
// ctx is not recorded, and all calls on it do nothing.
func (t tracer) end(ctx context.Context, conn *pgx.Conn, err error) {
	if !t.metrics.end(ctx, err) {
		return
	}
	span := trace.SpanFromContext(ctx)
	if err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			span.SetAttributes(semconv.DBResponseStatusCode(pg.Code))
		}
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		if needsNewSession(err) {
			conn.PgConn().CustomData()[outdated] = true
		}
	}
	span.End()
}

// outdated marks a connection that must not be used again.
const outdated = "outdated"

// isReusable is a pgxpool.Config.PrepareConn: the pool closes a connection that
// is not reusable, and takes another.
func isReusable(_ context.Context, conn *pgx.Conn) (bool, error) {
	return conn.PgConn().CustomData()[outdated] == nil, nil
}

// named is the beginning of a named statement, as sqlc writes it.
const named = "-- name: "

// statement returns the name of a statement, or its first word.
func statement(sql string) string {
	if named, ok := strings.CutPrefix(sql, named); ok {
		name, _, _ := strings.Cut(named, " ")
		return name
	}
	words := strings.Fields(sql[:min(len(sql), 100)])
	if len(words) == 0 {
		return "empty"
	}
	return strings.ToUpper(words[0])
}

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return t.start(ctx, data.SQL, 1)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	t.end(ctx, conn, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer. A batch has the name of its last
// named statement, or of its last one: the others serve it.
func (t tracer) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	statements := data.Batch.QueuedQueries
	var sql string
	for _, s := range statements {
		if strings.HasPrefix(s.SQL, named) || !strings.HasPrefix(sql, named) {
			sql = s.SQL
		}
	}
	return t.start(ctx, sql, len(statements))
}

// TraceBatchQuery implements pgx.BatchTracer.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (t tracer) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	t.end(ctx, conn, data.Err)
}
