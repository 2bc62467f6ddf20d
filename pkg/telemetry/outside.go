package telemetry

import (
	"context"
	"crypto/rand"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type outsideKey struct{}

// Outside marks the remote span in ctx as that of an external client. Its sampled flag is
// then not followed: anyone can set it, and every recorded span costs memory, network and
// storage.
func Outside(ctx context.Context) context.Context {
	return context.WithValue(ctx, outsideKey{}, true)
}

// outsideSampler treats external traces as if they began here, and all others as Sampler
// does.
type outsideSampler struct {
	sdktrace.Sampler
	root     sdktrace.Sampler
	byParent bool // clients may decline a recording
}

// ShouldSample implements sdktrace.Sampler. A ratio uses random trace ids, since clients
// choose theirs.
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
