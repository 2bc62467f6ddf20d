// Package traces receives spans by OTLP over HTTP (http/protobuf, the services'
// default) and keeps the latest traces in memory. It is meant for a developer's
// machine; a cluster has a real backend.
package traces

import (
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Kept is the maximum number of traces. The one that was neither received nor
// opened for the longest time is evicted first.
const Kept = 1000

// largest is the size limit of a request in bytes, far above what services send.
const largest = 16 << 20

// Span is one step of a trace.
type Span struct {
	ID, Parent string // in hexadecimal digits; a root has no parent
	Service    string
	Name       string
	Begin, End time.Time
	Status     int      // of the HTTP response; 0 if the span does not answer a request
	Failed     bool     // as the service reports it
	Told       []string // its attributes and events as text
	Links      []string // ids of linked traces
}

// Took returns the duration of the span.
func (s Span) Took() time.Duration { return s.End.Sub(s.Begin) }

// Trace is the received spans of a trace, sorted by start time.
type Trace struct {
	ID    string
	Spans []Span
}

// Begin returns the start time of the first span.
func (t Trace) Begin() time.Time { return t.Spans[0].Begin }

// Took returns the time from the first start to the last end.
func (t Trace) Took() time.Duration {
	end := t.Spans[0].End
	for _, s := range t.Spans {
		if s.End.After(end) {
			end = s.End
		}
	}
	return end.Sub(t.Begin())
}

// Root returns the span that all others belong to: the one without a parent, or,
// as long as that was not received, the first whose parent was not received.
func (t Trace) Root() Span {
	known := map[string]bool{}
	for _, s := range t.Spans {
		known[s.ID] = true
	}
	root := t.Spans[0]
	for _, s := range slices.Backward(t.Spans) {
		if !known[s.Parent] && (root.Parent != "" || s.Parent == "") {
			root = s
		}
	}
	return root
}

// Failed reports whether the root answered 5xx, or failed if it answers no
// request. A 4xx is a correct answer, also if a step inside failed for it.
func (t Trace) Failed() bool {
	root := t.Root()
	return root.Status >= http.StatusInternalServerError || root.Status == 0 && root.Failed
}

// Store keeps traces. The zero value is ready to use, and it is safe for
// concurrent use.
type Store struct {
	mu     sync.Mutex
	traces map[string][]Span
	order  []string // in order of eviction
}

// Trace returns a trace by its id. It is now the last one to be evicted, so that a
// trace stays as long as its page is open.
func (s *Store) Trace(id string) (Trace, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	spans, ok := s.traces[id]
	if i := slices.Index(s.order, id); ok {
		s.order = append(slices.Delete(s.order, i, i+1), id)
	}
	return Trace{ID: id, Spans: slices.Clone(spans)}, ok
}

// Has reports whether a trace is kept.
func (s *Store) Has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.traces[id] != nil
}

// Latest returns the traces, newest first.
func (s *Store) Latest() []Trace {
	s.mu.Lock()
	defer s.mu.Unlock()
	latest := make([]Trace, 0, len(s.order))
	for id, spans := range s.traces {
		latest = append(latest, Trace{ID: id, Spans: slices.Clone(spans)})
	}
	slices.SortFunc(latest, func(a, b Trace) int { return b.Begin().Compare(a.Begin()) })
	return latest
}

// ServeHTTP receives spans as specified by OTLP/HTTP: POST /v1/traces.
func (s *Store) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, largest))
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || q.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "invalid request: only OTLP over http/protobuf is accepted", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, process := range sent.ResourceSpans {
		service := process.Resource.GetAttributes()
		for _, scope := range process.ScopeSpans {
			for _, span := range scope.Spans {
				s.add(hex.EncodeToString(span.TraceId), read(span, text(service, "service.name")))
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // an empty body means that all were accepted
}

func (s *Store) add(trace string, span Span) {
	if s.traces == nil {
		s.traces = map[string][]Span{}
	}
	if _, known := s.traces[trace]; !known {
		s.order = append(s.order, trace)
		if len(s.order) > Kept {
			delete(s.traces, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.traces[trace] = append(s.traces[trace], span)
	slices.SortStableFunc(s.traces[trace], func(a, b Span) int { return a.Begin.Compare(b.Begin) })
}

func read(s *otlp.Span, service string) Span {
	span := Span{
		ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId), Service: service, Name: s.Name,
		Begin: moment(s.StartTimeUnixNano), End: moment(s.EndTimeUnixNano),
		Failed: s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR, Told: texts(s.Attributes),
	}
	if s.Kind == otlp.Span_SPAN_KIND_SERVER {
		span.Status, _ = strconv.Atoi(text(s.Attributes, "http.response.status_code")) // 0 without an answer
	}
	for _, e := range s.Events {
		span.Told = append(append(span.Told, e.Name), texts(e.Attributes)...)
	}
	for _, l := range s.Links {
		span.Links = append(span.Links, hex.EncodeToString(l.TraceId))
	}
	return span
}

func moment(nanoseconds uint64) time.Time {
	return time.Unix(0, int64(nanoseconds)) // fits until 2262
}

func texts(attributes []*common.KeyValue) []string {
	var all []string
	for _, a := range attributes {
		all = append(all, a.Key+"="+value(a.Value))
	}
	return all
}

func text(attributes []*common.KeyValue, key string) string {
	for _, a := range attributes {
		if a.Key == key {
			return value(a.Value)
		}
	}
	return ""
}

func value(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	default:
		return "…"
	}
}
