package server

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/telemetry"
)

// scope names this package among what makes spans.
const scope = "example.com/pizza/pkg/server"

// traceRequest continues the client's trace (W3C Trace Context) or starts one, so that
// every log line and error answer of a request has one trace_id, and records the
// request as a span. Probes and scrapes are not recorded. An external client can
// decline the recording of its trace, but not demand it: the sampler decides. The request
// gets its deadline here too, so that it is copied once.
func (s *Server) traceRequest(outside bool) echo.MiddlewareFunc {
	ofServer := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			ctx := r.Context()
			if len(r.Header["Traceparent"]) == 1 { // of several none is believed
				ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
			}
			caller := trace.SpanContextFromContext(ctx)
			if outside && caller.IsValid() {
				ctx = telemetry.Outside(ctx)
				caller = caller.WithTraceFlags(caller.TraceFlags().WithSampled(false))
			}
			var span trace.Span
			if quiet(c.Path()) {
				ctx, span = identify(ctx, caller)
			} else if ctx, span = s.tracer.Start(ctx, spanMethod(r.Method), ofServer...); span.SpanContext().SpanID() == caller.SpanID() {
				ctx, span = identify(ctx, caller) // nothing is recorded here, and so nothing has an id either
			}
			ctx, cancel := context.WithTimeout(ctx, s.config.RequestTimeout)
			defer cancel()
			c.SetRequest(r.WithContext(ctx)) // the only copy of a public request
			if !span.IsRecording() {
				return next(c)
			}
			defer span.End() // also of a request whose connection is torn down
			err := next(c)
			describe(span, c)
			return err
		}
	}
}

// spanMethod returns a method as a span is named by it.
func spanMethod(method string) string {
	if known(method) {
		return method
	}
	return "HTTP"
}

// identify gives a request that is not recorded its place in a trace. As in the SDK, ids
// need to be unique, and not secret.
func identify(ctx context.Context, caller trace.SpanContext) (context.Context, trace.Span) {
	if !caller.IsValid() {
		var id trace.TraceID
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64()|1) //nolint:gosec // never zero, which is invalid
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64())   //nolint:gosec // ids are no secrets
		caller = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id})
	}
	var id trace.SpanID
	binary.NativeEndian.PutUint64(id[:], rand.Uint64()|1) //nolint:gosec // ids are no secrets
	ctx = trace.ContextWithSpanContext(ctx, caller.WithSpanID(id).WithRemote(false))
	return ctx, trace.SpanFromContext(ctx)
}

// describe adds the attributes of the request and its answer (OpenTelemetry, "Semantic
// conventions for HTTP spans"). The name is that of the route, since the number of
// paths is unbounded. The query is left out, since its content is arbitrary.
func describe(span trace.Span, c echo.Context) {
	r, status := c.Request(), c.Response().Status
	name := spanMethod(r.Method)
	if route := c.Path(); route != "" {
		name += " " + route
		span.SetAttributes(semconv.HTTPRoute(route))
	}
	span.SetName(name)
	span.SetAttributes(
		semconv.HTTPRequestMethodKey.String(methodLabel(r.Method)), semconv.URLPath(r.URL.Path), semconv.HTTPResponseStatusCode(status),
		semconv.UserAgentOriginal(r.UserAgent()), semconv.NetworkProtocolVersion(strconv.Itoa(r.ProtoMajor)+"."+strconv.Itoa(r.ProtoMinor)),
	)
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
	}
}
