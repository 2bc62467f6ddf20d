package snapshot

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registerer takes metrics.
type Registerer = prometheus.Registerer

// metrics are the numbers of the snapshot.
type metrics struct {
	loads *prometheus.CounterVec
	stale prometheus.Counter
}

func newMetrics(r Registerer, k *Keeper) *metrics {
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "menu_snapshot_loads_total",
			Help: "Loads of the catalog into memory, by source: database, cache, or failed.",
		}, []string{"source"}),
		stale: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "menu_snapshot_stale_reads_total",
			Help: "Reads of the menu that were answered from memory because the database did not answer.",
		}),
	}
	for _, source := range []string{"database", "cache", "failed"} {
		m.loads.WithLabelValues(source) // there from the start: a rate needs the zero
	}
	r.MustRegister(m.loads, m.stale,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "menu_snapshot_version", Help: "Version of the catalog in memory; 0 before the first load.",
		}, func() float64 {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.held == nil {
				return 0
			}
			return float64(k.held.Version)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "menu_snapshot_age_seconds", Help: "Time since the catalog in memory was last known to be the newest; 0 before the first load.",
		}, func() float64 {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.held == nil {
				return 0
			}
			return time.Since(k.checked).Seconds()
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "menu_snapshot_listening", Help: "1 while changes of the catalog are heard, 0 while each read asks the database.",
		}, func() float64 {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.listening {
				return 1
			}
			return 0
		}))
	return m
}
