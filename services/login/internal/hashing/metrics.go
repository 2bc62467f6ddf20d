package hashing

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/metric"
	"example.com/pizza/pkg/password"
)

type metrics struct {
	seconds *prometheus.HistogramVec
	work    *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer) metrics {
	function := []string{"function"}
	m := metrics{
		seconds: prometheus.NewHistogramVec(metric.Native(prometheus.HistogramOpts{
			Name:    "login_password_kdf_seconds",
			Help:    "How long one run of a key derivation function took, by function: argon2id, pbkdf2_sha256.",
			Buckets: []float64{.005, .01, .02, .03, .05, .1, .2, .3, .5, 1, 2.5},
		}), function),
		work: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "login_password_kdf_work_total",
			Help: "Work of these runs: for argon2id KiB of memory times passes, for pbkdf2_sha256 iterations. Equal for all refused logins of a member without a dearer stored hash.",
		}, function),
	}
	for _, f := range []string{password.Argon2id, password.PBKDF2} {
		m.seconds.WithLabelValues(f)
		m.work.WithLabelValues(f)
	}
	registry.MustRegister(m.seconds, m.work)
	return m
}

func (m metrics) observe(r password.Run) {
	m.seconds.WithLabelValues(r.Function).Observe(r.Took.Seconds())
	m.work.WithLabelValues(r.Function).Add(float64(r.Work))
}
