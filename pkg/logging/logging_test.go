package logging_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/logging"
)

// A line has its service, version and environment, and in a request its trace and
// span.
func TestLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logging.New(logging.Config{Environment: "cellar", Version: "v7"}, &out, "oven")
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 2}}))
	log.With("pizza", "bbq").InfoContext(ctx, "baked", "minutes", 7)
	log.InfoContext(t.Context(), "cold")
	var got []map[string]any
	for line := range strings.Lines(out.String()) {
		var values map[string]any
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse(time.RFC3339Nano, values["time"].(string)); err != nil {
			t.Error(err)
		}
		delete(values, "time")
		got = append(got, values)
	}
	want := []map[string]any{
		{
			"level": "INFO", "msg": "baked", "service": "oven", "version": "v7", "env": "cellar", "pizza": "bbq", "minutes": 7.0,
			"trace_id": "00000000000000000000000000000001", "span_id": "0000000000000002",
		},
		{"level": "INFO", "msg": "cold", "service": "oven", "version": "v7", "env": "cellar"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The level can be lowered for a while, also for existing loggers, but never raised
// above the configured one.
func TestLevel(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := logging.NewLevel(slog.LevelInfo, func() time.Time { return now })
	expect := func(when string, want slog.Level, wantUntil time.Time) {
		t.Helper()
		if level, until := l.Current(); level != want || l.Level() != want || !until.Equal(wantUntil) {
			t.Errorf("%s: %v until %v", when, level, until)
		}
	}
	expect("at first", slog.LevelInfo, time.Time{})
	l.Set(slog.LevelDebug, time.Minute)
	expect("when set", slog.LevelDebug, now.Add(time.Minute))
	now = now.Add(time.Minute)
	expect("afterwards", slog.LevelInfo, time.Time{})
	l.Set(slog.LevelDebug, time.Minute)
	l.Set(slog.LevelInfo, time.Minute)
	expect("set back", slog.LevelInfo, time.Time{})
	l.Set(slog.LevelError, time.Minute)
	expect("told less", slog.LevelInfo, time.Time{})
}

func TestLevelOf(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := logging.New(logging.Config{Level: slog.LevelWarn}, &out, "oven")
	child := log.With("pizza", "bbq").WithGroup("dough")
	child.Info("unheard")
	logging.LevelOf(child).Set(slog.LevelInfo, time.Hour)
	log.Info("heard")
	child.Info("heard too")
	if got := out.String(); strings.Contains(got, "unheard") || strings.Count(got, "heard") != 2 {
		t.Error(got)
	}
	if logging.LevelOf(slog.New(slog.DiscardHandler)) != nil {
		t.Error("a log of no level has one")
	}
}
