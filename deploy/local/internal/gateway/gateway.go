// Package gateway is the front door of the local stack. It routes by path just
// as the Ingress of the cluster does, so that what works here works there.
//
// A request for /login, /menu or /order, bare or under /api, goes unchanged to
// the public port of that service: same path, same Host, with X-Forwarded-*
// added. The prefix is matched by whole path elements (Ingress pathType
// Prefix): /menux is not /menu. Everything else, health probes and /int
// included, is 404. Only the API page (/docs) is the gateway's own.
//
// Like a Service of the cluster, the gateway passes requests only to a backend
// that is ready; see Watch.
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

// retryAfter is what a caller is told while a service is away.
const retryAfter = 2 * time.Second

// Gateway is an http.Handler. A service without a ready backend is 503.
type Gateway struct {
	backends map[string]*backend
	proxy    *httputil.ReverseProxy
	pages    http.Handler
	log      *slog.Logger
}

// New returns a gateway to the named services, none of which has a backend yet.
func New(log *slog.Logger, services ...string) *Gateway {
	g := &Gateway{backends: map[string]*backend{}, pages: pages(services), log: log}
	for _, name := range services {
		g.backends[name] = &backend{name: name}
	}
	g.proxy = &httputil.ReverseProxy{
		Rewrite:       rewrite,
		Transport:     transport(),
		FlushInterval: -1, // what a service has sent, the client sees at once
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler:  g.unreachable,
	}
	return g
}

// SetBackend sends the requests of a service to host:port from now on. The
// backend must be ready.
func (g *Gateway) SetBackend(service, addr string) {
	b := g.backends[service]
	b.address.Store(&url.URL{Scheme: "http", Host: addr})
	b.ready.Store(true)
}

// Close ends the idle connections to the services.
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

// service returns the service that a URL belongs to by its first path element,
// after /api if that comes first. It is "" for a path that two readers could
// take for two different ones.
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

// rewrite sets where a request goes. The proxy has already dropped what the
// client claimed in Forwarded and X-Forwarded-*; who the client is, it may not
// claim either.
func rewrite(r *httputil.ProxyRequest) {
	address, ok := r.In.Context().Value(backendKey{}).(*url.URL)
	if !ok {
		return // the transport refuses a URL without a host
	}
	r.Out.URL.Scheme, r.Out.URL.Host = address.Scheme, address.Host
	r.Out.Host = r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery // the service judges a query that does not parse, not the proxy
	edge.Strip(r.Out.Header)
	r.SetXForwarded()
}

// transport leaves a request as it is: no proxy of the environment, and no
// compression that the client has not asked for.
func transport() *http.Transport {
	return &http.Transport{
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second, // below that of the services: a connection is never reused while they close it
		DisableCompression:  true,
	}
}

// unreachable answers when a service does not.
func (g *Gateway) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(r.Context().Err(), context.Canceled) {
		panic(http.ErrAbortHandler) // the client went away; to return would tell it 200, should it still read
	}
	name := service(r.URL)
	g.log.WarnContext(r.Context(), "service does not answer", "backend", name, "method", r.Method, "error", err.Error())
	g.answer(r.Context(), w, fault.Wrap(err, fault.Unavailable, "the "+name+" service does not answer").Retry(retryAfter))
}

// answer answers with an error of the gateway itself. Any page can read it: it
// says nothing of a member, and a page that cannot read it takes a service that
// is starting for a network that is down.
func (g *Gateway) answer(ctx context.Context, w http.ResponseWriter, err error) {
	edge.Protect(w.Header())
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	if err := problem.Write(w, err, logging.TraceID(ctx)); err != nil {
		g.log.DebugContext(ctx, "the error answer could not be sent", "error", err.Error())
	}
}

// traced returns r with the caller's trace in its context, or with a new one:
// the gateway's own answers carry a trace_id as all others do.
func traced(r *http.Request) *http.Request {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	if trace.SpanContextFromContext(ctx).IsValid() {
		return r.WithContext(ctx)
	}
	var c trace.SpanContextConfig
	_, _ = rand.Read(c.TraceID[:]) // never fails: crypto/rand ends the process instead
	_, _ = rand.Read(c.SpanID[:])
	return r.WithContext(trace.ContextWithSpanContext(ctx, trace.NewSpanContext(c)))
}
