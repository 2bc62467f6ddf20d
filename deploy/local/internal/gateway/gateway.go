// Package gateway is the entry point of the local stack. It routes by path
// exactly as the Ingress of the cluster does.
//
// A request for /login, /menu or /order, with or without an /api prefix, goes
// unchanged to the public port of that service: same path, same Host, with
// X-Forwarded-* added. The prefix matches whole path elements (Ingress pathType
// Prefix): /menux does not match /menu. The gateway itself serves only the API
// page (/docs). Everything else, including health probes and /int, is 404.
//
// Like a Kubernetes Service, the gateway sends requests only to ready backends;
// see Watch.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/edge"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/problem"
)

// retryAfter is the Retry-After value while a service is unavailable.
const retryAfter = 2 * time.Second

// Gateway is an http.Handler. It answers 503 for a service without a ready
// backend.
type Gateway struct {
	backends map[string]*backend
	proxy    *httputil.ReverseProxy
	pages    http.Handler
	log      *slog.Logger
}

// New returns a gateway for the named services. They have no backends yet.
func New(log *slog.Logger, services ...string) *Gateway {
	g := &Gateway{backends: map[string]*backend{}, pages: pages(services), log: log}
	for _, name := range services {
		g.backends[name] = &backend{name: name}
	}
	g.proxy = &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     transport(),
		FlushInterval: -1, // flush every write to the client immediately
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler:  g.unreachable,
	}
	return g
}

// SetBackend routes the requests for a service to addr (host:port). The backend
// must be ready.
func (g *Gateway) SetBackend(service, addr string) {
	b := g.backends[service]
	b.address.Store(&url.URL{Scheme: "http", Host: addr})
	b.ready.Store(true)
}

// Close closes the idle connections to the services.
func (g *Gateway) Close() {
	if t, ok := g.proxy.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

type backendKey struct{}

// ServeHTTP routes one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.route(w, traced(r)) }

func (g *Gateway) route(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	edge.EndAmbiguous(w.Header(), r)
	b, ok := g.backends[service(r.URL)]
	switch {
	case ok && b.address.Load() == nil:
		g.answer(ctx, w, fault.New(fault.Unavailable, "the "+b.name+" service is still starting").Retry(retryAfter))
	case ok && !b.ready.Load():
		g.answer(ctx, w, fault.New(fault.Unavailable, "the "+b.name+" service is not ready").Retry(retryAfter))
	case ok:
		g.proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, backendKey{}, b.address.Load())))
	case isPage(r.URL.Path):
		g.page(w, r)
	default:
		g.answer(ctx, w, fault.New(fault.NotFound, "not found"))
	}
}

// service returns the service name in a URL: the first path element after an
// optional /api. It returns "" for an ambiguous path, which two parsers could
// read differently.
func service(u *url.URL) string {
	if !edge.Plain(u) {
		return ""
	}
	elements := strings.Split(u.Path, "/")
	if len(elements) > 2 && elements[1] == "api" {
		elements = elements[1:]
	}
	return elements[1]
}

// rewrite sets the destination of a request. The proxy has already removed the
// client's Forwarded and X-Forwarded-*; edge.Strip removes identity headers.
func rewrite(r *httputil.ProxyRequest) {
	address, ok := r.In.Context().Value(backendKey{}).(*url.URL)
	if !ok {
		return // the transport rejects a URL without a host
	}
	r.Out.URL.Scheme, r.Out.URL.Host = address.Scheme, address.Host
	r.Out.Host = r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery // an invalid query is for the service to reject, not for the proxy to clean
	edge.Strip(r.Out.Header)
	r.SetXForwarded()
}

// transport returns a transport that leaves requests unchanged: no proxy from
// the environment, and no compression that the client did not request.
func transport() *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second, // below the services', so that no closing connection is reused
		DisableCompression:  true,
	}
}

// unreachable answers for a service that does not respond.
func (g *Gateway) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		panic(http.ErrAbortHandler) // the client has gone; returning would send 200 if it still reads
	}
	name := service(r.URL)
	g.log.WarnContext(r.Context(), "service unavailable", "backend", name, "method", r.Method, "error", err.Error())
	g.answer(r.Context(), w, fault.Wrap(err, fault.Unavailable, "the "+name+" service is unavailable").Retry(retryAfter))
}

// answer sends one of the gateway's own errors, readable from any origin. It
// contains no member data, and a page that cannot read it would mistake a
// starting service for a network failure.
func (g *Gateway) answer(ctx context.Context, w http.ResponseWriter, err error) {
	edge.Protect(w.Header())
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	if err := problem.Write(w, err, logging.TraceID(ctx)); err != nil {
		g.log.DebugContext(ctx, "the error answer could not be sent", "error", err.Error())
	}
}

// traced returns r with the caller's trace or a new one in its context, so that
// the gateway's own answers also carry a trace_id.
func traced(r *http.Request) *http.Request {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	if trace.SpanContextFromContext(ctx).IsValid() {
		return r.WithContext(ctx)
	}
	var c trace.SpanContextConfig
	_, _ = rand.Read(c.TraceID[:]) // never fails: crypto/rand crashes the process instead
	_, _ = rand.Read(c.SpanID[:])
	return r.WithContext(trace.ContextWithSpanContext(ctx, trace.NewSpanContext(c)))
}
