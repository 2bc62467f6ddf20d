package menuclient

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"example.com/pizza/pkg/metric"
)

// metrics are those of the calls to menu, by operation of this client and outcome.
type metrics struct {
	attempts    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	transitions *prometheus.CounterVec
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
	}
	for _, s := range []gobreaker.State{gobreaker.StateClosed, gobreaker.StateHalfOpen, gobreaker.StateOpen} {
		m.transitions.WithLabelValues(s.String()) // from the start, so that the first one is an increase
	}
	registry.MustRegister(m.attempts, m.duration, m.transitions)
	return m
}

// exportState exports the state of the breaker.
func exportState(registry prometheus.Registerer, breaker *gobreaker.CircuitBreaker[struct{}]) {
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "menu_client_breaker_state", Help: "The breaker before menu: 0 closed, 1 half-open, 2 open.",
	}, func() float64 { return float64(breaker.State()) }))
}

// observeCall records a call that has ended.
func (m *metrics) observeCall(ctx context.Context, operation string, o outcome, took time.Duration) {
	metric.Observe(ctx, m.duration.WithLabelValues(operation, string(o)), took)
}
