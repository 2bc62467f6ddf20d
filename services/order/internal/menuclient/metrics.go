package menuclient

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"example.com/pizza/pkg/metric"
)

// metrics are the numbers of the calls to menu. Operations are those of this
// client, outcomes the constants of this package.
type metrics struct {
	attempts    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	transitions *prometheus.CounterVec
	inFlight    prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "menu_client_attempts_total", Help: "Attempts to call menu, by operation and outcome. More attempts than calls are retries.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(metric.Native(prometheus.HistogramOpts{
			Name:    "menu_client_call_duration_seconds",
			Help:    "Time of one call to menu with its retries, by operation and outcome.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}), []string{"operation", "outcome"}),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "menu_client_breaker_transitions_total", Help: "Changes of the breaker, by the state that it changed to.",
		}, []string{"to"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "menu_client_calls_in_flight", Help: "Calls to menu in work: the places of MENU_CONCURRENCY that are taken.",
		}),
	}
	for _, s := range []gobreaker.State{gobreaker.StateClosed, gobreaker.StateHalfOpen, gobreaker.StateOpen} {
		m.transitions.WithLabelValues(s.String()) // so that the first one is an increase
	}
	registry.MustRegister(m.attempts, m.duration, m.transitions, m.inFlight)
	return m
}

// watch shows the state of a breaker.
func watch(registry prometheus.Registerer, breaker *gobreaker.CircuitBreaker[struct{}]) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "menu_client_breaker_state", Help: "The breaker before menu: 0 closed, 1 half-open, 2 open.",
	}, func() float64 { return float64(breaker.State()) }))
}

// called counts a call that has ended.
func (m *metrics) called(ctx context.Context, operation string, o outcome, took time.Duration) {
	metric.Observe(ctx, m.duration.WithLabelValues(operation, string(o)), took)
}
