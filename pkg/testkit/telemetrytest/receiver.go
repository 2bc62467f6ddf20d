// Package telemetrytest is a collector for tests: a real OTLP receiver, over gRPC
// and HTTP, that keeps all spans.
package telemetrytest

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Receiver is a collector.
type Receiver struct {
	HTTP string // its address for http/protobuf
	GRPC string // its address for grpc

	mu      sync.Mutex
	spans   []Span
	changed chan struct{} // closed when spans arrive
}

// Span is the part of a span that tests check.
type Span struct {
	Service    string
	Name       string
	Kind       string // server, client, producer, consumer or internal
	TraceID    string // in hexadecimal digits, as in traceparent
	SpanID     string
	ParentID   string   // "" for a root
	Links      []string // IDs of linked spans
	Error      bool
	Attributes map[string]string // of the span; numbers as text
	Resource   map[string]string // of the process
	Events     []string          // by name
}

// Start runs a receiver until the test ends.
func Start(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{changed: make(chan struct{})}
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, service{r: r})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			tb.Error(err)
		}
	})
	web := httptest.NewServer(r)
	tb.Cleanup(func() {
		server.Stop()
		serving.Wait()
		web.Close()
	})
	r.HTTP, r.GRPC = web.URL, "http://"+listener.Addr().String()
	return r
}

// Await returns all spans as soon as done returns true.
func (r *Receiver) Await(tb testing.TB, done func([]Span) bool) []Span {
	tb.Helper()
	for {
		r.mu.Lock()
		spans, changed := r.spans[:len(r.spans):len(r.spans)], r.changed
		r.mu.Unlock()
		if done(spans) {
			return spans
		}
		select {
		case <-changed:
		case <-time.After(time.Minute):
			tb.Fatalf("of the spans only %+v arrived", spans)
		}
	}
}

// ServeHTTP receives spans over OTLP/HTTP.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || q.URL.Path != "/v1/traces" || q.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	r.take(&sent)
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty body: all were accepted
}

type service struct {
	collector.UnimplementedTraceServiceServer
	r *Receiver
}

func (s service) Export(_ context.Context, sent *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.r.take(sent)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *Receiver) take(sent *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, process := range sent.ResourceSpans {
		resource := texts(process.Resource.GetAttributes())
		for _, scope := range process.ScopeSpans {
			for _, s := range scope.Spans {
				r.spans = append(r.spans, read(s, resource))
			}
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

func read(s *tracepb.Span, resource map[string]string) Span {
	span := Span{
		Service: resource["service.name"], Name: s.Name, Kind: strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_")),
		TraceID: hex.EncodeToString(s.TraceId), SpanID: hex.EncodeToString(s.SpanId), ParentID: hex.EncodeToString(s.ParentSpanId),
		Error: s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR, Attributes: texts(s.Attributes), Resource: resource,
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, hex.EncodeToString(l.SpanId))
	}
	for _, e := range s.Events {
		span.Events = append(span.Events, e.Name)
	}
	return span
}

func texts(attributes []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range attributes {
		switch v := a.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		default:
			_, m[a.Key], _ = strings.Cut(a.Value.String(), ":") // such as int_value:200
		}
	}
	return m
}
