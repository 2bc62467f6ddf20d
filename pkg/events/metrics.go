package events

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of an attempt, as label values.
const (
	published = "published"
	handled   = "handled"
	failed    = "failed"
	parked    = "parked"
)

// relayMetrics are those of one outbox. Every replica measures the whole table:
// aggregate depth, lag and parked by max, not by sum.
type relayMetrics struct {
	depth, lag, parked prometheus.Gauge
	events             *prometheus.CounterVec
}

func newRelayMetrics(registry prometheus.Registerer) relayMetrics {
	m := relayMetrics{
		depth: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_depth", Help: fmt.Sprintf("Events that wait to be published, counted up to %d.", measured),
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_lag_seconds", Help: "Age of the oldest event that waits to be published.",
		}),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_parked", Help: fmt.Sprintf("Events that were set aside because the transport refuses them, counted up to %d.", measured),
		}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "outbox_events_total", Help: "Attempts to publish an event, by outcome: published, failed or parked.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{published, failed, parked} {
		m.events.WithLabelValues(outcome) // from the start, so that the first one is an increase
	}
	registry.MustRegister(m.depth, m.lag, m.parked, m.events)
	return m
}

// ConsumerMetrics are those of a transport's consumers.
type ConsumerMetrics struct{ events *prometheus.CounterVec }

// NewConsumerMetrics registers the metrics, once per registry.
func NewConsumerMetrics(registry prometheus.Registerer) *ConsumerMetrics {
	m := &ConsumerMetrics{events: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "events_consumed_total", Help: "Attempts to handle an event, by consumer and outcome: handled, failed or parked.",
	}, []string{"consumer", "outcome"})}
	registry.MustRegister(m.events)
	return m
}

// NewDuplicates registers the counter of duplicates that an Inbox has skipped, once per
// registry.
func NewDuplicates(registry prometheus.Registerer) *prometheus.CounterVec {
	duplicates := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "events_duplicates_total", Help: "Events that came again after they had taken effect, and were left alone, by consumer.",
	}, []string{"consumer"})
	registry.MustRegister(duplicates)
	return duplicates
}

// Start initializes the metrics of a consumer to 0, so that its first failure is an
// increase.
func (m *ConsumerMetrics) Start(consumer string) {
	for _, outcome := range []string{handled, failed, parked} {
		m.events.WithLabelValues(consumer, outcome)
	}
}

// Handled counts an event that took effect.
func (m *ConsumerMetrics) Handled(consumer string) { m.events.WithLabelValues(consumer, handled).Inc() }

// Failed counts an attempt that failed and is repeated.
func (m *ConsumerMetrics) Failed(consumer string) { m.events.WithLabelValues(consumer, failed).Inc() }

// Parked counts a parked event.
func (m *ConsumerMetrics) Parked(consumer string) { m.events.WithLabelValues(consumer, parked).Inc() }
