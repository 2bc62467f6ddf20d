package prometheus

import (
	"context"
	"encoding/json"
	"math"
	"net/url"
	"strconv"
	"time"
)

// Series is a series in the result of a range query.
type Series struct {
	Labels map[string]string `json:"metric"`
	Values []Value           `json:"values"`
}

// Value is a sample.
type Value struct {
	At    time.Time
	Value float64
}

// UnmarshalJSON parses a Unix time in seconds and a value as text.
func (v *Value) UnmarshalJSON(b []byte) error {
	var seconds float64
	var text string
	if err := json.Unmarshal(b, &[]any{&seconds, &text}); err != nil {
		return err
	}
	v.At = moment(seconds)
	var err error
	v.Value, err = strconv.ParseFloat(text, 64)
	return err
}

func moment(seconds float64) time.Time { return time.UnixMilli(int64(math.Round(1000 * seconds))) }

// Range runs a range query.
func (s *Server) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]Series, error) {
	var r struct {
		Result []Series `json:"result"`
	}
	q := between(query, from, to)
	q.Set("step", strconv.FormatFloat(step.Seconds(), 'f', 3, 64))
	err := s.ask(ctx, "/api/v1/query_range?"+q.Encode(), &r)
	return r.Result, err
}

// Exemplar is one observation of a histogram.
type Exemplar struct {
	Labels map[string]string // such as trace_id
	Value  float64
	At     time.Time
}

// Exemplars returns the exemplars of the histograms in a query.
func (s *Server) Exemplars(ctx context.Context, query string, from, to time.Time) ([]Exemplar, error) {
	var series []struct {
		Exemplars []struct {
			Labels    map[string]string `json:"labels"`
			Value     float64           `json:"value,string"`
			Timestamp float64           `json:"timestamp"`
		} `json:"exemplars"`
	}
	if err := s.ask(ctx, "/api/v1/query_exemplars?"+between(query, from, to).Encode(), &series); err != nil {
		return nil, err
	}
	var all []Exemplar
	for _, one := range series {
		for _, e := range one.Exemplars {
			all = append(all, Exemplar{Labels: e.Labels, Value: e.Value, At: moment(e.Timestamp)})
		}
	}
	return all, nil
}

func between(query string, from, to time.Time) url.Values {
	seconds := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	return url.Values{"query": {query}, "start": {seconds(from)}, "end": {seconds(to)}}
}
