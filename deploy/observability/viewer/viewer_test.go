package viewer_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/dashboard"
	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/tool"
	"example.com/pizza/deploy/observability/traces"
	"example.com/pizza/deploy/observability/viewer"
)

// Every page is served with data from the traces and a real Prometheus, which has
// no targets but evaluates every query.
func TestPages(t *testing.T) {
	t.Parallel()
	program, err := tool.Build(t.Context(), "prometheus", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	root, err := tool.Root()
	if err != nil {
		t.Fatal(err)
	}
	server, err := prometheus.Start(t.Context(), prometheus.Options{
		Program: program, Folder: t.TempDir(), Targets: filepath.Join(t.TempDir(), "targets.json"),
		Rules: filepath.Join(root, observability.Rules, "*.yaml"), Every: time.Second, Address: "127.0.0.1:0", Log: t.Output(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	for fires := false; !fires; { // the Watchdog, when the rules are evaluated
		alerts, err := server.Alerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fires = len(alerts) > 0
	}
	store := failedTrace(t)
	pages := (&viewer.Viewer{Prometheus: server, Traces: store, Folder: filepath.Join(root, "deploy", "observability"), Namespace: "local", Hint: "none yet"}).Handler()

	want := map[string]string{
		"/":                         "None is pending or fires",
		"/?":                        "POST /order/",
		"/traces":                   "POST /order/",
		"/traces/" + traceID:        "InsertOrder",
		"/runbooks/ServiceDown.md":  "## Mitigation",
		"/dashboards/unheard-of":    "page not found",
		"/traces/unheard-of":        "page not found",
		"/runbooks/unheard-of.md":   "404",
		"/dashboards/..%2Foverview": "page not found",
	}
	for _, d := range dashboard.All() {
		want["/dashboards/"+d.Name] = "<h1>" + d.Title
	}
	for path, text := range want {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		found := text != "404" && text != "page not found"
		if !strings.Contains(w.Body.String(), text) || (w.Code == http.StatusOK) != found {
			t.Errorf("%s: %d without %q:\n%s", path, w.Code, text, w.Body)
		}
	}
}

const traceID = "000102030405060708090a0b0c0d0e0f"

// failedTrace returns a store with one trace of two spans. The second one failed.
func failedTrace(t *testing.T) *traces.Store {
	t.Helper()
	id := make([]byte, 16)
	for i := range id {
		id[i] = byte(i)
	}
	root, child := []byte{7: 1}, []byte{7: 2}
	body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{ScopeSpans: []*otlp.ScopeSpans{{
		Spans: []*otlp.Span{
			{TraceId: id, SpanId: root, Name: "POST /order/", StartTimeUnixNano: 1, EndTimeUnixNano: 9e6},
			{
				TraceId: id, SpanId: child, ParentSpanId: root, Name: "InsertOrder", StartTimeUnixNano: 2, EndTimeUnixNano: 8e6,
				Status: &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR},
			},
		},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	q := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(string(body)))
	q.Header.Set("Content-Type", "application/x-protobuf")
	var store traces.Store
	store.ServeHTTP(httptest.NewRecorder(), q)
	return &store
}
