package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/logging"
)

// envelope has the fields of every log line inside a request.
var envelope = []string{"time", "level", "msg", "service", "version", "env", "trace_id", "span_id"}

// Every event that the code can write is in the list, and has exactly the listed
// fields. Only the methods of Log write events, so each of them is called, including
// those that are added later.
func TestEvents(t *testing.T) {
	t.Parallel()
	unwritten := map[string]audit.Event{}
	for _, e := range audit.Events() {
		unwritten[e.Name] = e
	}
	for _, line := range writeAll(t) {
		name, _ := line["event"].(string)
		e, ok := unwritten[name]
		if !ok {
			t.Errorf("%v is in the list never, or once and written twice", line)
			continue
		}
		delete(unwritten, name)
		want := slices.Concat(envelope, []string{"event", "outcome", "actor"}, e.Fields)
		var got []string
		for field := range line {
			got = append(got, field)
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("fields of %s (-list +code):\n%s", name, diff)
		}
		if line["msg"] != audit.Message || line["outcome"] != string(e.Outcome) || line["actor"] != string(e.Actor) {
			t.Errorf("%s: %v", name, line)
		}
	}
	for name := range unwritten {
		t.Errorf("%s is in the list, but nothing writes it", name)
	}
}

// writeAll calls each method of Log in a request and returns the lines. The log is at
// level error, so the lines show that audit events bypass the level.
func writeAll(t *testing.T) []map[string]any {
	t.Helper()
	var out bytes.Buffer
	log := logging.New(logging.Config{Level: slog.LevelError, Environment: "test"}, &out, "oven")
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	log.InfoContext(ctx, "not written")
	methods := reflect.ValueOf(audit.New(log))
	for i := range methods.NumMethod() {
		method := methods.Method(i)
		args := make([]reflect.Value, method.Type().NumIn())
		for n := range args {
			switch in := method.Type().In(n); in {
			case reflect.TypeFor[context.Context]():
				args[n] = reflect.ValueOf(ctx)
			case reflect.TypeFor[error]():
				args[n] = reflect.ValueOf(errors.New("why"))
			case reflect.TypeFor[string]():
				args[n] = reflect.ValueOf("minji")
			default:
				args[n] = reflect.Zero(in)
			}
		}
		method.Call(args)
	}
	var lines []map[string]any
	for text := range strings.Lines(out.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	if len(lines) != methods.NumMethod() {
		t.Errorf("%d lines of %d methods:\n%s", len(lines), methods.NumMethod(), &out)
	}
	return lines
}

// For an unknown ID, the line says only that it is unknown.
func TestLoginFailed(t *testing.T) {
	t.Parallel()
	for memberID, want := range map[string]string{"minji": "wrong_password", "": "unknown_id"} {
		var out bytes.Buffer
		audit.New(logging.New(logging.Config{}, &out, "login")).LoginFailed(t.Context(), memberID)
		var line map[string]any
		if err := json.Unmarshal(out.Bytes(), &line); err != nil || line["reason"] != want || line["member_id"] != memberID {
			t.Errorf("%q: %v %s", memberID, err, &out)
		}
	}
}

func TestReadme(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/operations/observability.md", "<!-- audit -->\n", "<!-- end -->"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	table, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatal("the document has no table of events")
	}
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(file, []byte(head+begin+audit.Markdown()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(audit.Markdown(), table); diff != "" {
		t.Errorf("observability.md differs from the events (UPDATE_DOCS=1 go test fixes it):\n%s", diff)
	}
}
