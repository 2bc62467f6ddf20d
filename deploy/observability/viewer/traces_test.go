package viewer_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"example.com/pizza/deploy/observability/tool"
	"example.com/pizza/deploy/observability/traces"
	"example.com/pizza/deploy/observability/viewer"
)

const traceID = "00000000000000000000000000000001"

// request is a request with one statement, which failed if the request did.
type request struct {
	id            byte
	service, name string
	status        int64
	took          time.Duration
	stepFailed    bool
}

var failed = request{1, "order", "POST /order/", 503, 9 * time.Millisecond, true}

// TestTraces checks what the filters find, and how results are shown.
func TestTraces(t *testing.T) {
	t.Parallel()
	root, err := tool.Root()
	if err != nil {
		t.Fatal(err)
	}
	store := received(t, failed,
		request{2, "order", "POST /order/", 400, time.Millisecond, true}, // a customer's mistake
		request{3, "order", "GET /order/myorder/", 200, 501 * time.Millisecond, false},
		request{4, "login", "POST /login/", 200, 501 * time.Millisecond, false}, // a login may take a second
		request{5, "menu", "GET /menu/", 200, 101 * time.Millisecond, false},
		request{6, "kitchen", "process order.created", 0, time.Minute, false})
	v := (&viewer.Viewer{Traces: store, Root: os.DirFS(root)}).Handler()
	for query, want := range map[string]string{
		"":                          "654321",
		"show=all":                  "654321",
		"show=failed":               "1",
		"show=slow":                 "53",
		"path=/order/":              "321",
		"path=menu+GET":             "5",
		"show=slow&path=/order/":    "3",
		"show=failed&path=unheard":  "",
		"path=%22%3E%3Cscript%3E":   "",
		"show=unheard&path=+/menu/": "5",
	} {
		page := get(v, "/traces?"+query).Body.String()
		var got string
		for a := range elements(parse(t, page), "a") {
			if id, isTrace := strings.CutPrefix(attribute(a, "href"), "/traces/"); isTrace {
				got += id[len(id)-1:]
			}
		}
		if got != want {
			t.Errorf("%s: traces %q, want %q", query, got, want)
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		for input := range elements(parse(t, page), "input") {
			if attribute(input, "name") == "path" && attribute(input, "value") != strings.TrimSpace(values.Get("path")) {
				t.Errorf("%s: the form has %q", query, attribute(input, "value"))
			}
		}
		testAccess(t, "/traces?"+query, page)
	}
	page := get(v, "/traces").Body.String()
	for _, result := range []string{
		`"failed">503`, `"refused">400`, `"ok">200`, `"ok">ok`, `"number">501 ms`, `"number">60.0 s`,
	} {
		if !strings.Contains(page, result) {
			t.Errorf("no trace shows %s", result)
		}
	}
}

// received returns a store with requests, each a second after the one before.
func received(t *testing.T, requests ...request) *traces.Store {
	t.Helper()
	store := &traces.Store{}
	for i, r := range requests {
		begin := time.Unix(int64(1000+i), 0)
		at := func(d time.Duration) uint64 { return uint64(begin.Add(d).UnixNano()) }
		id, root, child := []byte{15: r.id}, []byte{7: 1}, []byte{7: 2}
		request := &otlp.Span{
			TraceId: id, SpanId: root, Name: r.name, StartTimeUnixNano: at(0), EndTimeUnixNano: at(r.took),
			Kind: otlp.Span_SPAN_KIND_CONSUMER,
		}
		if r.status != 0 {
			request.Kind = otlp.Span_SPAN_KIND_SERVER
			request.Attributes = []*common.KeyValue{{Key: "http.response.status_code", Value: &common.AnyValue{
				Value: &common.AnyValue_IntValue{IntValue: r.status},
			}}}
		}
		statement := &otlp.Span{
			TraceId: id, SpanId: child, ParentSpanId: root, Name: "InsertOrder",
			StartTimeUnixNano: at(1), EndTimeUnixNano: at(r.took), Kind: otlp.Span_SPAN_KIND_CLIENT,
		}
		if r.stepFailed {
			statement.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR}
		}
		body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{
			Resource: &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: &common.AnyValue{
				Value: &common.AnyValue_StringValue{StringValue: r.service},
			}}}},
			ScopeSpans: []*otlp.ScopeSpans{{Spans: []*otlp.Span{statement, request}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		q := httptest.NewRequest(http.MethodPost, "/v1/traces", strings.NewReader(string(body)))
		q.Header.Set("Content-Type", "application/x-protobuf")
		store.ServeHTTP(httptest.NewRecorder(), q)
	}
	return store
}
