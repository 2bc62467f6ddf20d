package admission

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/metric"
)

// reason is why somebody was not let in.
type reason string

const (
	full     reason = "queue_full"
	waited   reason = "waited"   // the longest wait is over
	deadline reason = "deadline" // the request's own deadline came first
	gone     reason = "gone"     // the caller went away
)

type metrics struct {
	inWork   prometheus.Gauge
	queued   prometheus.Gauge
	admitted prometheus.Counter
	rejected map[reason]prometheus.Counter
	wait     prometheus.Histogram
}

func newMetrics(name string, registry prometheus.Registerer) metrics {
	const subsystem = "admission"
	m := metrics{
		inWork: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: name, Subsystem: subsystem, Name: "in_work",
			Help: "Requests that were let in and are not done.",
		}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: name, Subsystem: subsystem, Name: "queued",
			Help: "Requests that wait to be let in.",
		}),
		admitted: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: name, Subsystem: subsystem, Name: "admitted_total",
			Help: "Requests that were let in.",
		}),
		rejected: map[reason]prometheus.Counter{},
		wait: prometheus.NewHistogram(metric.Native(prometheus.HistogramOpts{
			Namespace: name, Subsystem: subsystem, Name: "wait_seconds",
			Help:    "How long those that were let in had waited.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		})),
	}
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: name, Subsystem: subsystem, Name: "rejected_total",
		Help: "Requests that were not let in, by reason: queue_full, waited (for the longest wait), deadline (of the request came first), gone (the caller).",
	}, []string{"reason"})
	for _, why := range []reason{full, waited, deadline, gone} {
		m.rejected[why] = rejected.WithLabelValues(string(why)) // at 0 from the start, so that a first one shows in rates
	}
	registry.MustRegister(m.inWork, m.queued, m.admitted, rejected, m.wait)
	return m
}
