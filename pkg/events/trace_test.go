package events_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/logging"
)

// direct delivers every event to the consumer twice, as a transport may.
type direct struct{ sent []events.Event }

func (d *direct) Publish(_ context.Context, all ...events.Event) error {
	for _, e := range all {
		if e.Subject == "refused" {
			return errors.New("no room")
		}
		d.sent = append(d.sent, e)
	}
	return nil
}

func (d *direct) Subscribe(ctx context.Context, _ string, _ []string, handle events.Handler) error {
	for _, e := range d.sent {
		_, _ = handle(ctx, e), handle(ctx, e)
	}
	return nil
}

// An event stays in the trace of its cause, through the outbox, the transport and
// each attempt of a consumer. The spans have the errors of the attempts.
func TestEventsAreTraced(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, request := traces.Tracer("test").Start(t.Context(), "request")
	ctx, created := events.Create(ctx, "thing.created")
	e := whole()
	e.TraceParent = events.TraceParent(ctx)
	created.End()
	request.End()

	transport := events.Traced(&direct{}, traces)
	if err := transport.Publish(t.Context(), e); err != nil { // later, by a relay
		t.Fatal(err)
	}
	refused := e
	refused.Subject = "refused"
	if err := transport.Publish(t.Context(), refused); err == nil {
		t.Error("the error of the transport is gone")
	}
	attempts := 0
	err := transport.Subscribe(t.Context(), "kitchen", []string{"thing.created"}, func(ctx context.Context, _ events.Event) error {
		if logging.TraceID(ctx) != request.SpanContext().TraceID().String() {
			t.Error("the log of the handler tells another trace")
		}
		if attempts++; attempts == 1 {
			return errors.New("the oven is cold")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	type span struct {
		Name   string
		Kind   trace.SpanKind
		Failed bool
		Parent string
		Links  int
	}
	names := map[trace.SpanID]string{}
	for _, s := range recorder.Ended() {
		names[s.SpanContext().SpanID()] = s.Name()
	}
	var got []span
	for _, s := range recorder.Ended() {
		for _, l := range s.Links() {
			if names[l.SpanContext.SpanID()] != "create thing.created" {
				t.Errorf("%s is linked to %s", s.Name(), names[l.SpanContext.SpanID()])
			}
		}
		got = append(got, span{s.Name(), s.SpanKind(), s.Status().Code == codes.Error, names[s.Parent().SpanID()], len(s.Links())})
	}
	const create = "create thing.created"
	want := []span{
		{create, trace.SpanKindProducer, false, "request", 0},
		{"request", trace.SpanKindInternal, false, "", 0},
		{"publish thing.created", trace.SpanKindProducer, false, create, 0},
		{"publish thing.created", trace.SpanKindProducer, true, create, 0},
		{"process thing.created", trace.SpanKindConsumer, true, create, 1},
		{"process thing.created", trace.SpanKindConsumer, false, create, 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Without recording, a consumer still knows the trace, for its log. An event without
// a trace is handled too.
func TestEventsWithoutRecording(t *testing.T) {
	t.Parallel()
	untraced := whole()
	untraced.TraceParent = ""
	for _, e := range []events.Event{whole(), untraced} {
		transport := events.Traced(&direct{sent: []events.Event{e}}, noop.NewTracerProvider())
		var got []string
		err := transport.Subscribe(t.Context(), "kitchen", nil, func(ctx context.Context, _ events.Event) error {
			got = append(got, logging.TraceID(ctx))
			return nil
		})
		want := ""
		if e.TraceParent != "" {
			want = "0af7651916cd43dd8448eb211c80319c"
		}
		if diff := cmp.Diff([]string{want, want}, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
}
