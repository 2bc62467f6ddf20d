package system

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"example.com/pizza/pkg/testkit/edgetest"
)

// testRoutes checks which paths exist, in which spellings, for which methods.
func (s *system) testRoutes(t *testing.T) {
	t.Run("every path, bare and under /api, with and without its last slash", func(t *testing.T) {
		t.Parallel()
		for path, status := range map[string]int{
			"/login/logout": http.StatusOK, "/menu": http.StatusOK, "/menu/types": http.StatusOK, "/order/branch": http.StatusOK,
			"/order/myorder": http.StatusUnauthorized, "/order/some-id": http.StatusUnauthorized,
		} {
			for _, spelling := range []string{path, path + "/", "/api" + path, "/api" + path + "/"} {
				s.get(t, spelling).want(t, status)
			}
		}
		for _, spelling := range []string{"/login/password", "/login/password/", "/api/login/password", "/api/login/password/"} {
			s.postJSON(t, spelling, "", `{}`).wantProblem(t, http.StatusUnauthorized)
		}
		for _, path := range []string{"/login", "/login/register", "/menu/get_pizza_id"} {
			for _, spelling := range []string{path, path + "/", "/api" + path, "/api" + path + "/"} {
				s.postJSON(t, spelling, "", `{}`).wantProblem(t, http.StatusBadRequest)
			}
		}
	})
	t.Run("nothing internal", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{
			"/int/auth/verify", "/api/int/auth/verify", "/int/menu/quote", "/int/menu/catalog", "/int/menu/types/bbq_ckn", "/int/menu/pizzas/bbq_ckn_s",
			"/metrics", "/api/metrics", "/healthz", "/livez", "/api/healthz", "/api/livez/", "/debug/pprof/",
			"/login/int/auth/verify", "/menu/int/menu/quote", "/login/metrics", "/menu/metrics", "/login/healthz", "/menu/livez",
			"/loginx", "/menus/", "/menu/%2e%2e/metrics", "/Menu/", "/",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
				a := s.send(t, request{method: method, path: path, media: mediaJSON, body: `{}`})
				if path == "/" { // redirects to the API page
					a.want(t, map[bool]int{true: http.StatusFound, false: http.StatusMethodNotAllowed}[method == http.MethodGet])
					continue
				}
				a.wantProblem(t, http.StatusNotFound)
			}
		}
	})
	t.Run("nothing internal, in disguise", func(t *testing.T) {
		t.Parallel()
		gateway, err := url.Parse(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		doors := []string{gateway.Host}
		for _, service := range s.Services() {
			doors = append(doors, service.Public)
		}
		for _, path := range []string{"/int/auth/verify", "/int/menu/quote", "/metrics"} {
			for _, target := range edgetest.Disguises(path) {
				for _, door := range doors {
					a := edgetest.Get(t, door, http.MethodPost, target, "Content-Length: 0", "X-Original-URL: "+path)
					if a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest {
						t.Errorf("%s at %s: answer %d %.100s", target, door, a.Status, a.Body)
					}
				}
				if a := edgetest.Get(t, gateway.Host, http.MethodGet, target); a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest {
					t.Errorf("GET %s: answer %d %.100s", target, a.Status, a.Body)
				}
			}
		}
	})
	t.Run("methods not offered", func(t *testing.T) {
		t.Parallel()
		offered := map[string][]string{
			"/login/": {"POST"}, "/login/register/": {"POST"}, "/login/password/": {"POST"}, "/login/logout/": {"GET"},
			"/menu/": {"GET"}, "/menu/types/": {"GET"}, "/menu/get_pizza_id/": {"POST"},
			"/order/": {"POST"}, "/order/branch/": {"GET"}, "/order/myorder/": {"GET"}, "/order/some-id/": {"GET"}, "/order/openapi.json": {"GET"},
		}
		for path, methods := range offered {
			for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "BREW", "TRACE"} {
				if slices.Contains(methods, method) {
					continue
				}
				a := s.send(t, request{method: method, path: path, media: mediaJSON, body: `{}`})
				if slices.Contains([]string{"PROPFIND", "BREW", "TRACE"}, method) { // unknown to the router, which may answer 404
					if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
						t.Errorf("%s %s: answer %d", method, path, a.status)
					}
					continue
				}
				a.wantProblem(t, http.StatusMethodNotAllowed)
				allow := strings.Split(strings.ReplaceAll(a.header.Get("Allow"), " ", ""), ",")
				if !slices.Contains(allow, methods[0]) || slices.Contains(allow, method) {
					t.Errorf("%s %s: Allow %q", method, path, allow)
				}
			}
		}
	})
	t.Run("the documents are those of the API page, and relative", func(t *testing.T) {
		t.Parallel()
		page := string(s.get(t, "/docs").want(t, http.StatusOK).body)
		for _, path := range []string{"/login/openapi.json", "/menu/openapi.json", "/order/openapi.json"} {
			if !strings.Contains(page, `"`+path+`"`) {
				t.Errorf("the API page does not show %s", path)
			}
			// In the documents, this path matches the path of an order.
			a := s.send(t, request{method: http.MethodGet, path: path, unchecked: true}).want(t, http.StatusOK)
			document := decode[struct {
				OpenAPI string
				Servers []struct{ URL string }
				Paths   map[string]any
			}](t, a)
			for _, server := range document.Servers { // so that "Try it out" goes through the gateway
				if !strings.HasPrefix(server.URL, "/") || strings.HasPrefix(server.URL, "//") {
					t.Errorf("%s: server %q is not relative", path, server.URL)
				}
			}
			if document.OpenAPI == "" || len(document.Servers) == 0 || len(document.Paths) == 0 {
				t.Errorf("%s is no OpenAPI document: %.100s", path, a.body)
			}
			for p := range document.Paths {
				if strings.HasPrefix(p, "/int") {
					t.Errorf("%s shows %s to strangers", path, p)
				}
			}
		}
	})
	t.Run("browsers may call from elsewhere", func(t *testing.T) {
		t.Parallel()
		for path, method := range map[string]string{"/api/login/": "POST", "/api/menu/": "GET", "/api/order/": "POST"} {
			a := s.send(t, request{method: http.MethodOptions, path: path, header: map[string]string{
				"Origin": "http://localhost:5173", "Access-Control-Request-Method": method,
				"Access-Control-Request-Headers": "authorization,content-type",
			}})
			if a.status/100 != 2 || a.header.Get("Access-Control-Allow-Origin") != "*" ||
				!strings.Contains(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), "authorization") {
				t.Errorf("%s: answer %d %v", path, a.status, a.header)
			}
		}
	})
	t.Run("probes and metrics are on the services' own ports", func(t *testing.T) {
		t.Parallel()
		for _, service := range s.Services() {
			public, internal, metrics := "http://"+service.Public, "http://"+service.Internal, "http://"+service.Metrics
			for _, path := range []string{"/healthz", "/livez"} {
				s.sendTo(t, public, request{method: http.MethodGet, path: path}).want(t, http.StatusOK)
			}
			for _, port := range []string{metrics, internal} {
				a := s.sendTo(t, port, request{method: http.MethodGet, path: "/metrics"}).want(t, http.StatusOK)
				if !strings.Contains(string(a.body), "http_server_request_duration_seconds") {
					t.Errorf("%s: no request durations in its metrics", service.Name)
				}
			}
			for _, path := range []string{"/int/auth/verify", "/int/menu/quote", "/log-level", "/debug/pprof/heap", "/" + service.Name + "/"} {
				s.sendTo(t, metrics, request{method: http.MethodPost, path: path, media: mediaJSON, body: `{}`, unchecked: true}).wantProblem(t, http.StatusNotFound)
			}
			for _, path := range []string{"/metrics", "/debug/pprof/heap", "/int/auth/verify", "/int/menu/quote"} {
				s.sendTo(t, public, request{method: http.MethodPost, path: path, media: mediaJSON, body: `{}`}).wantProblem(t, http.StatusNotFound)
			}
		}
	})
	t.Run("the trace of the caller comes back", func(t *testing.T) {
		t.Parallel()
		const id = "4bf92f3577b34da6a3ce929d0e0e4736"
		a := s.send(t, request{method: http.MethodGet, path: "/order/myorder/", header: map[string]string{"Traceparent": "00-" + id + "-00f067aa0ba902b7-01"}})
		if p := a.wantProblem(t, http.StatusUnauthorized); p.TraceID != id {
			t.Errorf("trace_id %q, want %q", p.TraceID, id)
		}
	})
}
