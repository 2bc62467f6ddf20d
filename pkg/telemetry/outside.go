package telemetry

import (
	"context"
	"crypto/rand"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type outsideKey struct{}

// Outside returns ctx with the mark that the remote span in it was named by a
// caller who is not one of our services. Its sampled flag is then not followed:
// anyone can set it, and every recorded span costs memory, network and storage.
func Outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, outsideKey{}, true)
}

// outsideSampler decides about traces from outside as if they began here, and
// about all others as Sampler does.
type outsideSampler struct {
	sdktrace.Sampler
	root     sdktrace.Sampler
	byParent bool // a caller may decline to be recorded
}

// ShouldSample implements sdktrace.Sampler. A ratio is taken of random trace ids,
// since callers choose theirs.
func (s outsideSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if !parent.IsRemote() || p.ParentContext.Value(outsideKey{}) == nil {
		return s.Sampler.ShouldSample(p)
	}
	if s.byParent && !parent.IsSampled() {
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: parent.TraceState()}
	}
	_, _ = rand.Read(p.TraceID[:]) // never fails: crypto/rand ends the process instead
	return s.root.ShouldSample(p)
}
