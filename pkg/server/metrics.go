package server

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/pizza/pkg/metric"
)

// metrics are the numbers of the HTTP side. Labels are bounded: the route is a
// pattern, never a path, and an unknown method is "_OTHER".
type metrics struct {
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	buckets  []float64

	mu     sync.RWMutex
	series map[labels]*metric.Series
}

// labels are those of duration.
type labels struct {
	route, method string
	class         int // of the status
}

func newMetrics(registry *prometheus.Registry) *metrics {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	m := &metrics{
		buckets: buckets, series: map[labels]*metric.Series{},
		duration: prometheus.NewHistogramVec(metric.Native(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Time to answer a request, by route, method and class of the status.",
			Buckets: buckets,
		}), []string{"route", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_server_active_requests",
			Help: "Requests in work.",
		}),
	}
	registry.MustRegister(m.duration, m.inFlight)
	return m
}

// ended observes a request that was in work.
func (m *metrics) ended(c echo.Context, took time.Duration) {
	m.inFlight.Dec()
	l := labels{c.Path(), methodLabel(c.Request().Method), c.Response().Status / 100}
	if l.route == "" {
		l.route = "none"
	}
	ctx := c.Request().Context()
	if quiet(l.route) {
		ctx = context.Background() // its trace_id is in no log
	}
	m.of(l).Observe(ctx, took)
}

// of returns the series with these labels.
func (m *metrics) of(l labels) *metric.Series {
	m.mu.RLock()
	s := m.series[l]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.series[l] == nil {
		m.series[l] = metric.NewSeries(m.duration.WithLabelValues(l.route, l.method, strconv.Itoa(l.class)+"xx"), m.buckets)
	}
	return m.series[l]
}

// otherMethod stands for every unknown method (OpenTelemetry, "Semantic
// conventions for HTTP spans").
const otherMethod = "_OTHER"

// methodLabel returns the method of a request as a label value: callers can make
// up methods without end.
func methodLabel(method string) string {
	if known(method) {
		return method
	}
	return otherMethod
}

// longestMethod bounds, in bytes, a method in the log. The longest registered
// one is UPDATEREDIRECTREF.
const longestMethod = 20

// shortMethod returns a method as it is logged. net/http lets only visible ASCII
// through, of up to the limit of all headers.
func shortMethod(method string) string {
	if len(method) > longestMethod {
		return method[:longestMethod] + "…"
	}
	return method
}

// known reports whether a method has a name of its own in metrics and spans.
func known(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return true
	}
	return false
}

func (s *Server) routeMetrics(registry *prometheus.Registry) {
	h := promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		ErrorHandling:     promhttp.HTTPErrorOnError,
	})
	for _, e := range []*echo.Echo{s.internal, s.monitor} {
		get(e, metricsPath, echo.WrapHandler(h))
	}
}
