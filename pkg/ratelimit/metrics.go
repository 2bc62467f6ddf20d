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
			Help: "Requests by route, rate limit (such as account) and outcome: allowed (spent of this limit), refused (429, because of this limit).",
		}, []string{"route", "limit", "outcome"}),
		fallback: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rate_limit_fallback",
			Help: "1 while this process counts rate limits alone because the shared Redis does not answer, else 0.",
		}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rate_limit_redis_errors_total",
			Help: "Rate limit commands that Redis has not answered in time.",
		}),
	}
	registry.MustRegister(m.requests, m.fallback, m.errors)
	return m
}
