package telemetry

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// With every sampler, an outside caller cannot increase recording by its flag or its
// choice of a trace ID.
func TestOutsideSampler(t *testing.T) {
	t.Parallel()
	const tries = 400
	for sampler, test := range map[string]struct {
		ratio             float64
		outside, neighbor string // recorded of tries by a sampled parent: none, some or all
		declined          string // by a parent from outside that is not sampled
	}{
		"always_on":                {1, "all", "all", "all"},
		"always_off":               {1, "none", "none", "none"},
		"traceidratio":             {.5, "some", "all", "some"}, // by the trace ID, as its standard says
		"parentbased_always_on":    {1, "all", "all", "none"},
		"parentbased_always_off":   {1, "none", "all", "none"},
		"parentbased_traceidratio": {.5, "some", "all", "none"},
	} {
		s := Config{Sampler: sampler, SamplerArg: test.ratio}.sampler()
		count := func(flags trace.TraceFlags, outside bool) string {
			// Every ratio above 0 records this ID.
			parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: flags, Remote: true})
			ctx := trace.ContextWithRemoteSpanContext(t.Context(), parent)
			if outside {
				ctx = Outside(ctx)
			}
			n := 0
			for range tries {
				if s.ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: parent.TraceID()}).Decision == sdktrace.RecordAndSample {
					n++
				}
			}
			switch n {
			case 0:
				return "none"
			case tries:
				return "all"
			default:
				return "some"
			}
		}
		if got := count(trace.FlagsSampled, true); got != test.outside {
			t.Errorf("%s: %s recorded for outsiders, want %s", sampler, got, test.outside)
		}
		if got := count(trace.FlagsSampled, false); got != test.neighbor {
			t.Errorf("%s: %s recorded for services, want %s", sampler, got, test.neighbor)
		}
		if got := count(0, true); got != test.declined {
			t.Errorf("%s: %s recorded for callers that declined, want %s", sampler, got, test.declined)
		}
	}
}
