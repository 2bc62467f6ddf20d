package server

import (
	"context"
	"net/http"
	"strconv"
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
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(metric.Native(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Time to answer a request, by route, method and class of the status.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}), []string{"route", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "http_server_active_requests",
			Help: "Requests in work.",
		}),
	}
	registry.MustRegister(m.duration, m.inFlight)
	return m
}

// start counts a request in work until the function it returns is called.
func (m *metrics) start() func(c echo.Context, took time.Duration) {
	m.inFlight.Inc()
	return func(c echo.Context, took time.Duration) {
		m.inFlight.Dec()
		method, route := c.Request().Method, c.Path()
		if !known(method) {
			method = "_OTHER"
		}
		if route == "" {
			route = "none"
		}
		ctx := c.Request().Context()
		if quiet(route) {
			ctx = context.Background() // its trace_id is in no log
		}
		metric.Observe(ctx, m.duration.WithLabelValues(route, method, strconv.Itoa(c.Response().Status/100)+"xx"), took)
	}
}

// known tells the methods that are worth a name: there is no end of others.
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
