package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// tracer records a span per statement, or batch, of a recorded trace, and does
// nothing otherwise. The values of a statement are in no span.
type tracer struct{ server []attribute.KeyValue }

var (
	_ pgx.QueryTracer = tracer{}
	_ pgx.BatchTracer = tracer{}
)

func newTracer(c Config) tracer {
	return tracer{[]attribute.KeyValue{
		semconv.DBSystemNamePostgreSQL, semconv.DBNamespace(c.Name), semconv.ServerAddress(c.Host), semconv.ServerPort(int(c.Port)),
	}}
}

// start begins a span of the trace that ctx belongs to.
func (t tracer) start(ctx context.Context, sql string, statements int) context.Context {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx
	}
	name := statement(sql)
	attributes := slices.Concat(t.server, []attribute.KeyValue{semconv.DBOperationName(name)})
	if statements > 1 {
		attributes = append(attributes, semconv.DBOperationBatchSize(statements))
	}
	ctx, _ = parent.TracerProvider().Tracer("example.com/pizza/pkg/postgres").
		Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return ctx
}

// end ends the span that start has begun. Where it has begun none, the span in
// ctx is one that is not recorded, to which all this is nothing.
func end(ctx context.Context, err error) {
	span := trace.SpanFromContext(ctx)
	if err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) {
			span.SetAttributes(semconv.DBResponseStatusCode(pg.Code))
		}
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// named is how sqlc, and who else names a statement, begins it.
const named = "-- name: "

// statement names a statement as sqlc does, or by its first word.
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
func (t tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(ctx, data.Err)
}

// TraceBatchStart implements pgx.BatchTracer. A batch goes by the last of its
// statements that has a name, or the last: the others serve it.
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
func (tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	end(ctx, data.Err)
}
