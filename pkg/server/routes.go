package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"sigs.k8s.io/yaml"

	"example.com/pizza/pkg/bind"
)

const (
	readyPath    = "/healthz"
	livePath     = "/livez"
	metricsPath  = "/metrics"
	logLevelPath = "/log-level"
	profilesPath = "/debug/pprof"
	internalRoot = "/int/"
	internalTag  = "internal" // of the operations below internalRoot
)

// quiet reports whether machines call a route all the time.
func quiet(route string) bool {
	return route == readyPath || route == livePath || route == metricsPath
}

func (s *Server) routeHealth() {
	ok := map[string]string{"status": "ok"}
	for _, e := range []*echo.Echo{s.public, s.monitor} {
		get(e, readyPath, func(c echo.Context) error {
			if err := s.health.Ready(c.Request().Context()); err != nil {
				return err
			}
			return c.JSON(http.StatusOK, ok)
		})
		get(e, livePath, func(c echo.Context) error { return c.JSON(http.StatusOK, ok) })
	}
}

// get adds a route that answers HEAD as it answers GET, without the body (RFC
// 9110, section 9.3.2).
func get(e *echo.Echo, path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) {
	e.GET(path, h, m...)
	e.HEAD(path, h, m...)
}

// ServeDocument serves a service's OpenAPI document (YAML) as JSON at
// /<service>/openapi.json. The public port serves it without the internal operations.
// Query parameters that the document does not have are ignored.
func (s *Server) ServeDocument(service string, document []byte) error {
	var all map[string]any
	if err := yaml.Unmarshal(document, &all); err != nil {
		return fmt.Errorf("read the OpenAPI document of %s: %w", service, err)
	}
	var err error
	if s.parameters, err = queryParameters(document); err != nil {
		return fmt.Errorf("read the parameters of %s: %w", service, err)
	}
	public := maps.Clone(all)
	if tags, ok := all["tags"].([]any); ok {
		public["tags"] = slices.DeleteFunc(slices.Clone(tags), func(tag any) bool {
			t, ok := tag.(map[string]any)
			return ok && t["name"] == internalTag
		})
	}
	if paths, ok := all["paths"].(map[string]any); ok {
		paths = maps.Clone(paths)
		maps.DeleteFunc(paths, func(path string, _ any) bool { return strings.HasPrefix(path, internalRoot) })
		public["paths"] = paths
	}
	path := "/" + service + "/openapi.json"
	publicJSON, err := json.Marshal(public)
	if err != nil {
		return fmt.Errorf("write the OpenAPI document of %s: %w", service, err)
	}
	allJSON, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("write the OpenAPI document of %s: %w", service, err)
	}
	s.Router().GET(path, func(c echo.Context) error { return c.JSONBlob(http.StatusOK, publicJSON) })
	get(s.internal, path, func(c echo.Context) error { return c.JSONBlob(http.StatusOK, allJSON) })
	return nil
}

// queryParameters returns the names of the query parameters of each operation of
// an OpenAPI document, such as those of "GET /menu/".
func queryParameters(document []byte) (map[string][]string, error) {
	type parameter struct {
		Ref  string `json:"$ref"`
		Name string `json:"name"`
		In   string `json:"in"`
	}
	type operation struct {
		Parameters []parameter `json:"parameters"`
	}
	var doc struct {
		Paths map[string]struct {
			operation
			Get    *operation `json:"get"`
			Put    *operation `json:"put"`
			Post   *operation `json:"post"`
			Patch  *operation `json:"patch"`
			Delete *operation `json:"delete"`
		} `json:"paths"`
		Components struct {
			Parameters map[string]parameter `json:"parameters"`
		} `json:"components"`
	}
	if err := yaml.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for path, item := range doc.Paths {
		for method, o := range map[string]*operation{
			http.MethodGet: item.Get, http.MethodPut: item.Put, http.MethodPost: item.Post, http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if o == nil {
				continue
			}
			for _, p := range slices.Concat(item.Parameters, o.Parameters) {
				if p.Ref != "" {
					p = doc.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")]
				}
				if p.In == "query" {
					names[method+" "+path] = append(names[method+" "+path], p.Name)
				}
			}
		}
	}
	return names, nil
}

// readQuery keeps the known parameters of a query, in a form that net/url, and so the
// generated code, reads as it was sent.
func readQuery(known func() []string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if r.URL.RawQuery == "" {
				return next(c)
			}
			query, err := bind.Query(r.URL.RawQuery, known())
			if err != nil {
				return err
			}
			read := *r.URL
			read.RawQuery = query
			r = r.WithContext(r.Context())
			r.URL = &read
			c.SetRequest(r)
			return next(c)
		}
	}
}

// Router takes the routes of generated code (it is an EchoRouter) and puts each
// on the port where it belongs: /int/* on the internal one, all others on the
// public one. Every path is served bare and under /api, with and without its
// last slash, as routes of their own: nothing is rewritten or redirected, so no
// Ingress needs to either. In logs and metrics all spellings go by the path of
// the document.
type Router struct {
	s      *Server
	unsafe []string
}

// Unsafe returns a router that does not answer HEAD at these paths, where GET
// changes something. HEAD is a safe method (RFC 9110, section 9.2.1): it must
// change nothing, and to answer it as GET would claim a change that did not
// happen.
func (r Router) Unsafe(paths ...string) Router { return Router{r.s, paths} }

// Router returns the router of the server's two ports.
func (s *Server) Router() Router { return Router{s: s} }

func (r Router) add(method, path string, h echo.HandlerFunc, m []echo.MiddlewareFunc) *echo.Route {
	documented := func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.SetPath(path)
			return next(c)
		}
	}
	operation := method + " " + path
	if method == http.MethodHead {
		operation = http.MethodGet + " " + path
	}
	chain := slices.Concat([]echo.MiddlewareFunc{documented}, m, []echo.MiddlewareFunc{readQuery(func() []string { return r.s.parameters[operation] })})
	h = wrap(h, chain)
	e := r.s.public
	if strings.HasPrefix(path, internalRoot) {
		e = r.s.internal
	}
	bare := strings.TrimSuffix(path, "/")
	for _, p := range []string{bare, bare + "/", "/api" + bare, "/api" + bare + "/"} {
		e.Add(method, p, h)
	}
	return &echo.Route{Method: method, Path: path}
}

// GET adds a route that answers HEAD too (RFC 9110, section 9.1), unless it is
// unsafe.
func (r Router) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	if !slices.Contains(r.unsafe, path) {
		r.add(http.MethodHead, path, h, m)
	}
	return r.add(http.MethodGet, path, h, m)
}

// POST adds a route.
func (r Router) POST(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPost, path, h, m)
}

// PUT adds a route.
func (r Router) PUT(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPut, path, h, m)
}

// DELETE adds a route.
func (r Router) DELETE(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodDelete, path, h, m)
}

// PATCH adds a route.
func (r Router) PATCH(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodPatch, path, h, m)
}

// HEAD adds a route.
func (r Router) HEAD(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodHead, path, h, m)
}

// OPTIONS adds a route.
func (r Router) OPTIONS(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodOptions, path, h, m)
}

// TRACE adds a route.
func (r Router) TRACE(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodTrace, path, h, m)
}

// CONNECT adds a route.
func (r Router) CONNECT(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	return r.add(http.MethodConnect, path, h, m)
}

// Below adds a route of the internal port for every method and every path below
// this one, for proxies that ask about a request by sending its like.
func (r Router) Below(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) {
	r.s.internal.Any(path+"/*", h, m...)
}
