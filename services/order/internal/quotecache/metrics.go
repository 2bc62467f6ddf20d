package quotecache

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/latest"
	"example.com/pizza/services/order/internal/order"
)

// Registerer registers metrics.
type Registerer = prometheus.Registerer

// metrics are those of the cache.
type metrics struct {
	quotes *prometheus.CounterVec
	loads  *prometheus.CounterVec
}

// source returns the label value of the origin of prices.
func source(from latest.From) string {
	if from == latest.Read {
		return "menu"
	}
	return string(from)
}

func newMetrics(r Registerer, state func() latest.State[order.Catalog]) *metrics {
	m := &metrics{
		quotes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_quotes_total",
			Help: "Orders by where their prices came from: memory, menu (read for them), stale (memory, because menu does not answer), or none.",
		}, []string{"source"}),
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_quote_cache_loads_total",
			Help: "Reads of menu's catalog, by outcome: unchanged, loaded, or failed.",
		}, []string{"outcome"}),
	}
	for _, from := range []latest.From{latest.Memory, latest.Read, latest.Stale, latest.None} {
		m.quotes.WithLabelValues(source(from)) // from the start: a rate needs the zero
	}
	for _, outcome := range []string{"unchanged", "loaded", "failed"} {
		m.loads.WithLabelValues(outcome)
	}
	gauge := func(name, help string, value func(latest.State[order.Catalog]) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(state()) })
	}
	r.MustRegister(m.quotes, m.loads,
		gauge("order_quote_cache_version", "Version of the catalog in memory; 0 for none.", func(s latest.State[order.Catalog]) float64 {
			if s.Held == nil {
				return 0
			}
			return float64(s.Held.Version)
		}),
		gauge("order_quote_cache_age_seconds", "Time since the catalog in memory was last known to be the newest; 0 for none.", func(s latest.State[order.Catalog]) float64 {
			return s.Age.Seconds()
		}),
		gauge("order_quote_cache_stale", "1 while orders are priced from memory because menu does not answer.", func(s latest.State[order.Catalog]) float64 {
			if s.Stale {
				return 1
			}
			return 0
		}))
	return m
}
