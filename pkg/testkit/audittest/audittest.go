// Package audittest reads the audit log of a service under test.
package audittest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/audit"
)

// Line is an expected event, without the fields that every line has. Numbers are
// float64.
type Line map[string]any

// Expect fails the test unless the log has exactly these events, in this order.
// Each must belong to a request, and therefore have a trace_id.
func Expect(tb testing.TB, log string, want ...Line) {
	tb.Helper()
	var got []Line
	for text := range strings.Lines(log) {
		var line Line
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			tb.Fatalf("%v: %s", err, text)
		}
		if line["msg"] != audit.Message {
			continue
		}
		if id, _ := line["trace_id"].(string); id == "" {
			tb.Errorf("no trace_id: %s", text)
		}
		for _, same := range []string{"time", "level", "msg", "service", "version", "env", "trace_id", "span_id"} {
			delete(line, same)
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("audit (-want +got):\n%s", diff)
	}
}
