package ratelimit

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	requests *prometheus.CounterVec
	fallback prometheus.Gauge
	errors   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) metrics {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rate_limit_requests_total",
			Help: "Requests that a rate limit was asked about, by route, limit (such as account) and outcome: allowed, refused (429).",
		}, []string{"route", "limit", "outcome"}),
		fallback: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rate_limit_fallback",
			Help: "1 while limits are counted by this process alone though there should be a Redis that all share, else 0.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rate_limit_redis_errors_total",
			Help: "Questions about a limit that Redis has not answered in time.",
		}),
	}
	registry.MustRegister(m.requests, m.fallback, m.errors)
	return m
}
