package revocation

import "github.com/prometheus/client_golang/prometheus"

// What became of tokens that could not be checked.
const (
	refused  = "refused"
	accepted = "accepted"
)

type metrics struct{ stale *prometheus.CounterVec }

func register(registry prometheus.Registerer, s *Set) metrics {
	m := metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "token_revocations_stale_checks_total",
		Help: "Checks of tokens while revocations were too old and could not be read, by what became of the token.",
	}, []string{"outcome"})}
	for _, outcome := range []string{refused, accepted} {
		m.stale.WithLabelValues(outcome) // so that a first one is an increase
	}
	count := func(of string, n func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "token_revocations", Help: "Withdrawals in force: of one token, or of all tokens of a member.",
			ConstLabels: prometheus.Labels{"of": of},
		}, func() float64 {
			s.mu.RLock()
			defer s.mu.RUnlock()
			return float64(n())
		})
	}
	registry.MustRegister(m.stale,
		count("token", func() int { return len(s.tokens) }),
		count("member", func() int { return len(s.members) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "token_revocations_age_seconds", Help: "Time since revocations were last read from the database.",
		}, func() float64 {
			s.mu.RLock()
			defer s.mu.RUnlock()
			return s.now().Sub(s.read).Seconds()
		}))
	return m
}
