package quotecache

import "github.com/prometheus/client_golang/prometheus"

// Registerer takes metrics.
type Registerer = prometheus.Registerer

// metrics are the numbers of the cache.
type metrics struct {
	quotes *prometheus.CounterVec
	loads  *prometheus.CounterVec
}

func newMetrics(r Registerer, c *Cache) *metrics {
	m := &metrics{
		quotes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_quotes_total",
			Help: "Orders by where their prices came from: memory, menu (loaded for them), stale (memory, because menu does not answer), or none.",
		}, []string{"source"}),
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_quote_cache_loads_total",
			Help: "Loads of menu's catalog, by outcome: kept, overtaken (by a change), outdated (menu had not heard of a change), abandoned, or failed.",
		}, []string{"outcome"}),
	}
	for _, s := range []source{fromMemory, fromMenu, fromStale, fromNowhere} {
		m.quotes.WithLabelValues(string(s)) // there from the start: a rate needs the zero
	}
	for _, outcome := range []string{"kept", "overtaken", "outdated", "abandoned", "failed"} {
		m.loads.WithLabelValues(outcome)
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return value()
		})
	}
	r.MustRegister(m.quotes, m.loads,
		gauge("order_quote_cache_version", "Version of the catalog in memory; 0 for none.", func() float64 {
			if c.held == nil {
				return 0
			}
			return float64(c.held.Version)
		}),
		gauge("order_quote_cache_age_seconds", "Time since the catalog in memory was last known to be the newest; 0 for none.", func() float64 {
			if c.held == nil {
				return 0
			}
			return c.now().Sub(c.checked).Seconds()
		}),
		gauge("order_quote_cache_listening", "1 while changes of menu are heard, 0 while menu is asked for each order.", func() float64 {
			if c.listening {
				return 1
			}
			return 0
		}),
		gauge("order_quote_cache_stale", "1 while orders are priced from memory because menu does not answer.", func() float64 {
			if c.stale {
				return 1
			}
			return 0
		}))
	return m
}
