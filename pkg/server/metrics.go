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
		method, route := methodLabel(c.Request().Method), c.Path()
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
