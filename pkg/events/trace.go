package events

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of spans.
const scope = "example.com/pizza/pkg/events"

// Create begins the span in which an event of a type is created, in the trace of ctx. The
// caller writes TraceParent of the returned context into the outbox, and then ends the
// span.
func Create(ctx context.Context, eventType string) (context.Context, trace.Span) {
	return trace.SpanFromContext(ctx).TracerProvider().Tracer(scope).Start(ctx, "create "+eventType,
		trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			semconv.MessagingOperationTypeCreate, semconv.MessagingOperationName("create"), semconv.MessagingDestinationName(eventType)))
}

// TraceParent returns the trace context of ctx for an Event, or "".
func TraceParent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[traceparent]
}

const traceparent = "traceparent"

// Traced returns a transport that keeps each event in the trace of its cause: with a span
// when it is published, and a span when a consumer handles it, linked to the creation.
// Handlers run in that trace even if nothing is recorded, so that their log lines have
// its id.
func Traced(t Transport, traces trace.TracerProvider) Transport {
	return traced{t, traces.Tracer(scope)}
}

type traced struct {
	Transport
	tracer trace.Tracer
}

// Publish implements Transport. The spans of the transport are below that of a single
// event; those for several events belong to none of their traces.
func (t traced) Publish(ctx context.Context, all ...Event) error {
	spans, publishing := make([]trace.Span, len(all)), ctx
	for i, e := range all {
		var of context.Context
		of, spans[i] = t.start(ctx, e, "publish", trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithAttributes(semconv.MessagingOperationTypeSend))
		if len(all) == 1 {
			publishing = of
		}
	}
	err := t.Transport.Publish(publishing, all...)
	for _, span := range spans {
		note(span, err)
		span.End()
	}
	return err
}

// Subscribe implements Transport.
func (t traced) Subscribe(ctx context.Context, consumer string, types []string, handle Handler) error {
	return t.Transport.Subscribe(ctx, consumer, types, func(ctx context.Context, e Event) error {
		options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			semconv.MessagingOperationTypeProcess, semconv.MessagingConsumerGroupName(consumer))}
		if cause := trace.SpanContextFromContext(causedBy(ctx, e)); cause.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: cause}))
		}
		ctx, span := t.start(ctx, e, "process", options...)
		defer span.End()
		err := handle(ctx, e)
		note(span, err)
		return err
	})
}

// start begins a span in the trace of the cause of an event.
func (t traced) start(ctx context.Context, e Event, operation string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	return t.tracer.Start(causedBy(ctx, e), operation+" "+e.Type, append(options, trace.WithAttributes(
		semconv.MessagingOperationName(operation), semconv.MessagingDestinationName(e.Type),
		semconv.MessagingMessageID(e.ID), semconv.CloudEventsEventSubject(e.Subject)))...)
}

func causedBy(ctx context.Context, e Event) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: e.TraceParent})
}

func note(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
}
