package token

import "github.com/prometheus/client_golang/prometheus"

// The outcomes of a read that found a change or an error.
const (
	changed = "changed"
	failed  = "failed"
)

// register adds the metrics of k to registry, and returns the counter of reloads.
func register(registry prometheus.Registerer, k *Keys) *prometheus.CounterVec {
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "token_key_reloads_total",
		Help: "Looks at the files of token keys that found other keys (changed) or none that can be used (failed).",
	}, []string{"outcome"})
	for _, outcome := range []string{changed, failed} {
		reloads.WithLabelValues(outcome) // from the start, so that a first failure is an increase
	}
	registry.MustRegister(reloads, ringCollector{
		keys:  k,
		count: prometheus.NewDesc("token_verifying_keys", "Keys whose tokens are good.", nil, nil),
		info:  prometheus.NewDesc("token_key_info", "The keys in use, by kid: the one that signs, and others that verify.", []string{"kid", "use"}, nil),
	})
	return reloads
}

// ringCollector exports the current keys. The label kid is bounded by their number, and
// public: each token has its own.
type ringCollector struct {
	keys        *Keys
	count, info *prometheus.Desc
}

func (c ringCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.count
	out <- c.info
}

func (c ringCollector) Collect(out chan<- prometheus.Metric) {
	ids := c.keys.ring.Load().ids()
	out <- prometheus.MustNewConstMetric(c.count, prometheus.GaugeValue, float64(len(ids)))
	seen := map[string]bool{} // two keys with one kid are possible, if unlikely
	for i, id := range ids {
		use := "verify"
		if i == 0 {
			use = "sign"
		}
		if !seen[id] {
			out <- prometheus.MustNewConstMetric(c.info, prometheus.GaugeValue, 1, id, use)
		}
		seen[id] = true
	}
}
