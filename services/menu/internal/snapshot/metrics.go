package snapshot

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/latest"
	"example.com/pizza/services/menu/internal/menu"
)

// Registerer registers metrics.
type Registerer = prometheus.Registerer

// metrics are those of the snapshot.
type metrics struct {
	loads *prometheus.CounterVec
	stale prometheus.Counter
}

func newMetrics(r Registerer, state func() latest.State[menu.Catalog]) *metrics {
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "menu_snapshot_loads_total",
			Help: "Loads of the catalog into memory, by source: database, cache, or failed, which counts failed questions for its mark, too.",
		}, []string{"source"}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "menu_snapshot_stale_reads_total",
			Help: "Reads of the menu that were answered from memory because the database did not answer.",
		}),
	}
	for _, source := range []string{"database", "cache", "failed"} {
		m.loads.WithLabelValues(source) // from the start: a rate needs the zero
	}
	r.MustRegister(m.loads, m.stale,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "menu_snapshot_version", Help: "Version of the catalog in memory; 0 for none.",
		}, func() float64 {
			if c := state().Held; c != nil {
				return float64(c.Version)
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "menu_snapshot_age_seconds", Help: "Time since the catalog in memory was last known to be the newest; 0 for none.",
		}, func() float64 { return state().Age.Seconds() }))
	return m
}
