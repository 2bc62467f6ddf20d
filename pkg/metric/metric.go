// Package metric is what the histograms of all packages have in common: they are
// native ones too, and what they observe leads to a trace.
package metric

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/logging"
)

// Native returns o as a native histogram beside its classic buckets. A Prometheus
// that asks for those gets quantiles that are off by 5 % at most instead of by a
// bucket; any other one gets the buckets.
func Native(o prometheus.HistogramOpts) prometheus.HistogramOpts {
	o.NativeHistogramBucketFactor = 1.1
	o.NativeHistogramMaxBucketNumber = 160 // bounds the memory of values that are far apart
	o.NativeHistogramMinResetDuration = time.Hour
	o.NativeHistogramMaxExemplars = -1 // the classic buckets have them, for both
	return o
}

// Observe adds the seconds of d to o. The trace that ctx belongs to is the
// exemplar of its bucket: a trace_id whose lines are in the log, and whose spans
// are kept if it was sampled. That costs about 1 µs, several times as much as to
// observe alone, so it is for what is asked about one by one: requests, calls
// and statements.
func Observe(ctx context.Context, o prometheus.Observer, d time.Duration) {
	if id := logging.TraceID(ctx); id != "" {
		if e, ok := o.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": id})
			return
		}
	}
	o.Observe(d.Seconds())
}

// exemplarEvery is the time for which a bucket of a Series keeps its exemplar. It is
// shorter than the pause between two scrapes, which see no more than the last one.
const exemplarEvery = time.Second

// Series is one series of a histogram that every request observes. Its exemplars are
// those of Observe, but each bucket gets at most one in a second, so that the others
// cost no more than an observation.
type Series struct {
	observer prometheus.Observer
	buckets  []float64
	next     []atomic.Int64 // by bucket: the time of its next exemplar, since began
	began    time.Time
}

// NewSeries returns a series with these buckets.
func NewSeries(o prometheus.Observer, buckets []float64) *Series {
	return &Series{observer: o, buckets: buckets, next: make([]atomic.Int64, len(buckets)+1), began: time.Now()}
}

// Observe adds the seconds of d, with the trace that ctx belongs to.
func (s *Series) Observe(ctx context.Context, d time.Duration) {
	bucket, _ := slices.BinarySearch(s.buckets, d.Seconds())
	now, next := time.Since(s.began), s.next[bucket].Load()
	if int64(now) >= next && s.next[bucket].CompareAndSwap(next, int64(now+exemplarEvery)) {
		Observe(ctx, s.observer, d)
		return
	}
	s.observer.Observe(d.Seconds())
}
