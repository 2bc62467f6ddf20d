// Package logging sets up the process's structured log: JSON lines on standard
// output by log/slog, each with the service's name, version and environment and,
// inside a request, the trace_id that the caller sees in an error answer.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Config is how much is logged, and where the process says it runs.
type Config struct {
	Level       slog.Level `env:"LOG_LEVEL" envDefault:"info" doc:"Minimum level of log lines: debug, info, warn or error"`
	Environment string     `env:"ENVIRONMENT" envDefault:"dev" doc:"Name of the environment, repeated in every log line and span"`
	Version     string     `env:"SERVICE_VERSION" envDefault:"dev" doc:"Version of the service, repeated in every log line and span; the chart sets it to the tag of the image"`
}

// New returns the log of a service, which may be written to a Buffer. LevelOf gives the
// hold of its level.
func New(c Config, w io.Writer, service string) *slog.Logger {
	level := NewLevel(c.Level, time.Now)
	json := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	buffer, _ := w.(*Buffer)
	return slog.New(traced{Handler: json, level: level, buffer: buffer}).With("service", service, "version", c.Version, "env", c.Environment)
}

// TraceID returns the id of the trace that ctx belongs to, or "".
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// traced adds the trace of the context to each record.
type traced struct {
	slog.Handler
	level   *Level
	buffer  *Buffer // nil without one
	relaxed bool
}

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	if err := h.Handler.Handle(ctx, r); err != nil {
		return fmt.Errorf("write log record: %w", err)
	}
	if h.buffer != nil && (!h.relaxed || r.Level >= slog.LevelWarn) {
		return h.buffer.flush()
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.Handler = h.Handler.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h traced) WithGroup(name string) slog.Handler {
	h.Handler = h.Handler.WithGroup(name)
	return h
}
