package telemetry

import (
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Config is where traces go and how many of them. The names, and what they mean,
// are those of the OpenTelemetry specification ("SDK environment variables" and
// "OTLP exporter"); those that are not here, such as OTEL_EXPORTER_OTLP_HEADERS
// or OTEL_RESOURCE_ATTRIBUTES, are read by the SDK itself from the environment
// of the process.
type Config struct {
	Endpoint       string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" rule:"url=http|https" doc:"OpenTelemetry collector for traces, such as http://collector:4318; empty sends none, which costs nothing"`
	TracesEndpoint string  `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" rule:"url=http|https" doc:"Collector address for traces alone, with its path, such as http://collector:4318/v1/traces; takes precedence over OTEL_EXPORTER_OTLP_ENDPOINT"`
	Protocol       string  `env:"OTEL_EXPORTER_OTLP_PROTOCOL" envDefault:"http/protobuf" rule:"oneof=http/protobuf|grpc" doc:"Protocol of the collector: http/protobuf or grpc"`
	Disabled       bool    `env:"OTEL_SDK_DISABLED" envDefault:"false" doc:"true sends no traces, whatever the endpoint is"`
	Sampler        string  `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_always_on" rule:"oneof=always_on|always_off|traceidratio|parentbased_always_on|parentbased_always_off|parentbased_traceidratio" doc:"Sampler of traces: always_on, always_off, traceidratio, or one of these with parentbased_, which follows the decision of a calling service. Clients can decline a recording, but not demand one"`
	SamplerArg     float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"1" doc:"Share of traces that a traceidratio sampler records, 0 to 1"`
	DelayMS        int     `env:"OTEL_BSP_SCHEDULE_DELAY" envDefault:"5000" rule:"min=1" doc:"Maximum time in milliseconds for which finished spans are batched"`
}

// overGRPC is one of the protocols of OTLP. JSON over HTTP is for browsers.
const overGRPC = "grpc"

// endpoint returns the address that traces are sent to, or "".
func (c Config) endpoint() string {
	switch {
	case c.Disabled:
		return ""
	case c.TracesEndpoint != "":
		return c.TracesEndpoint
	case c.Endpoint != "" && c.Protocol != overGRPC:
		return strings.TrimSuffix(c.Endpoint, "/") + "/v1/traces"
	default:
		return c.Endpoint
	}
}

// sampler returns the sampler that the configuration names.
func (c Config) sampler() sdktrace.Sampler {
	name, byParent := strings.CutPrefix(c.Sampler, "parentbased_")
	s := sdktrace.AlwaysSample()
	switch name {
	case "always_off":
		s = sdktrace.NeverSample()
	case "traceidratio":
		s = sdktrace.TraceIDRatioBased(c.SamplerArg)
	}
	if byParent {
		return outsideSampler{root: s, Sampler: sdktrace.ParentBased(s), byParent: true}
	}
	return outsideSampler{root: s, Sampler: s}
}
