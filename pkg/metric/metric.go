// Package metric is what the histograms of all packages have in common: they are
// native ones too, and what they observe leads to a trace.
package metric

import (
	"context"
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
