package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/pizza/pkg/postgres"
)

// In a recorded trace, each statement and batch is a span with its name and error,
// but without its values. Outside of a trace there are no spans.
func TestStatementsAreSpans(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), settings(t), "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	const private = "known to nobody else"
	run := func(sql string, args ...any) { _, _ = pool.Exec(t.Context(), sql, args...) }
	run("CREATE TABLE dough (id int PRIMARY KEY, note text)") // outside of a trace

	recorder := tracetest.NewSpanRecorder()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, parent := traces.Tracer("test").Start(t.Context(), "request")
	run = func(sql string, args ...any) { _, _ = pool.Exec(ctx, sql, args...) } // errors are in the spans
	run("-- name: Knead :exec\nINSERT INTO dough VALUES ($1, $2)", 1, private)
	run("-- name: Knead :exec\nINSERT INTO dough VALUES ($1, $2)", 1, private)
	run("  select $1::text", private)
	run("")
	var named, unnamed pgx.Batch
	named.Queue("SELECT 1")
	named.Queue("-- name: Bake :exec\nSELECT $1::text", private)
	named.Queue("SELECT 2")
	unnamed.Queue("SELECT 1")
	unnamed.Queue("DELETE FROM dough")
	for _, b := range []*pgx.Batch{&named, &unnamed} {
		if err := pool.SendBatch(ctx, b).Close(); err != nil {
			t.Fatal(err)
		}
	}
	parent.End()

	type span struct {
		Name, State string
		Failed      bool
		Events      int
	}
	var got []span
	for _, s := range recorder.Ended() {
		if s.SpanContext().SpanID() == parent.SpanContext().SpanID() {
			continue
		}
		if s.Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Errorf("%s is not of the request", s.Name())
		}
		state := ""
		for _, a := range s.Attributes() {
			if strings.Contains(a.Value.String(), private) {
				t.Errorf("%s tells a value: %s", s.Name(), a.Value.String())
			}
			if a.Key == "db.response.status_code" {
				state = a.Value.AsString()
			}
		}
		got = append(got, span{s.Name(), state, s.Status().Code == codes.Error, len(s.Events())})
	}
	want := []span{
		{"Knead", "", false, 0}, {"Knead", "23505", true, 1}, {"SELECT", "", false, 0}, {"empty", "", false, 0},
		{"Bake", "", false, 0}, {"DELETE", "", false, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
