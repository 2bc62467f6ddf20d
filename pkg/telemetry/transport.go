package telemetry

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Transport passes the trace of a request on, and records a span per request, named by
// method and path. It is for services with few paths: each path with an id would become a
// name.
func Transport(base http.RoundTripper) http.RoundTripper {
	return transport{base: base, traced: otelhttp.NewTransport(base,
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method + " " + r.URL.Path }),
	)}
}

type transport struct{ base, traced http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if trace.SpanFromContext(ctx).IsRecording() {
		return t.traced.RoundTrip(r)
	}
	r = r.Clone(ctx) // a RoundTripper must not change what it was given
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	return t.base.RoundTrip(r)
}
