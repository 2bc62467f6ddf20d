package app_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/login/internal/app"
)

// gateway simulates how a proxy calls login before it forwards a request.
type gateway struct {
	// ask returns the request that it sends to login at base about r.
	ask func(ctx context.Context, base string, r *http.Request) (*http.Request, error)
	// deny responds to the client when login's status is not 200.
	deny func(w http.ResponseWriter, answer *http.Response)
}

// nginx sends GET, all headers and no body. The client of a 401 gets
// WWW-Authenticate; any status but 401 and 403 is an nginx error:
// https://nginx.org/en/docs/http/ngx_http_auth_request_module.html
var nginx = gateway{
	ask: func(ctx context.Context, base string, r *http.Request) (*http.Request, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/int/auth/verify", nil)
		if err != nil {
			return nil, err
		}
		q.Header = r.Header.Clone()
		q.Header.Set("Connection", "close") // the default of proxy_set_header
		q.Header.Set("X-Original-URI", r.RequestURI)
		return q, nil
	},
	deny: func(w http.ResponseWriter, answer *http.Response) {
		switch answer.StatusCode {
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", answer.Header.Get("WWW-Authenticate"))
			w.WriteHeader(http.StatusUnauthorized)
		case http.StatusForbidden:
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	},
}

// traefik sends GET, all headers, the X-Forwarded headers and no body; the
// client gets login's response:
// https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/forwardauth/
var traefik = gateway{
	ask: func(ctx context.Context, base string, r *http.Request) (*http.Request, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/int/auth/verify", nil)
		if err != nil {
			return nil, err
		}
		q.Header = r.Header.Clone()
		for name, value := range map[string]string{"Method": r.Method, "Proto": "http", "Host": r.Host, "Uri": r.RequestURI, "For": "192.0.2.7"} {
			q.Header.Set("X-Forwarded-"+name, value)
		}
		return q, nil
	},
	deny: func(w http.ResponseWriter, answer *http.Response) {
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body) // the tests check only the status
	},
}

// envoy sends the method of the request and its path after path_prefix, with
// Host, Content-Length: 0, Authorization, and the allowed_headers. A 5xx is an
// error, which becomes status_on_error:
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_authz/v3/ext_authz.proto
var envoy = gateway{
	ask: func(ctx context.Context, base string, r *http.Request) (*http.Request, error) {
		q, err := http.NewRequestWithContext(ctx, r.Method, base, http.NoBody)
		if err != nil {
			return nil, err
		}
		q.URL.Opaque = "//" + q.URL.Host + "/int/auth/verify/request" + r.RequestURI // byte for byte as received
		q.Host = r.Host
		q.Header["Authorization"] = r.Header["Authorization"]
		return q, nil
	},
	deny: func(w http.ResponseWriter, answer *http.Response) {
		if answer.StatusCode >= http.StatusInternalServerError {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("WWW-Authenticate", answer.Header.Get("WWW-Authenticate"))
		w.WriteHeader(answer.StatusCode)
	},
}

// before serves upstream behind the gateway, which calls login at base.
func (g gateway) before(t *testing.T, base string, upstream *httptest.Server) *httptest.Server {
	t.Helper()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, err := g.ask(r.Context(), base, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		answer, err := transport.RoundTrip(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusOK {
			g.deny(w, answer)
			return
		}
		r.Header.Set("X-User-Id", answer.Header.Get("X-User-Id")) // all three replace the client's
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
	})
	return s
}

// What each gateway sends to the service behind it and to the client.
func TestForwardAuth(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	s.register(t, "김민지", "correct horse")
	good, revoked := s.login(t, "김민지", "correct horse"), s.login(t, "김민지", "correct horse")
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+revoked)
	unsure := unsureLogin(t)

	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" for "+strings.Join(r.Header["X-User-Id"], "|"))
	}))
	t.Cleanup(upstream.Close)

	for name, test := range map[string]struct {
		gateway gateway
		away    int // the client's status while login cannot decide
	}{"nginx": {nginx, 500}, "traefik": {traefik, 503}, "envoy": {envoy, 503}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			front := test.gateway.before(t, s.Internal, upstream)
			for _, target := range []string{"/order/", "/order", "/", "/order/myorder/?limit=5&cursor=a%2Fb", "//order//x", "/order/%2e%2e/int%2Fx;y", "/api/login/"} {
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
					status, body, _ := ask(t, front, method, target, "Bearer "+good)
					if want := method + " " + target + " for %EA%B9%80%EB%AF%BC%EC%A7%80"; status != http.StatusOK || body != want {
						t.Errorf("%s %s: %d %s", method, target, status, body)
					}
					for _, bad := range []string{"", "Bearer " + revoked, "Bearer " + expired(t, "minji"), "Bearer " + foreign(t, "minji"), "Basic dTpw"} {
						if status, body, header := ask(t, front, method, target, bad); status != http.StatusUnauthorized || header.Get("WWW-Authenticate") == "" {
							t.Errorf("%s %s with %q: %d %s", method, target, bad, status, body)
						}
					}
				}
			}
			front = test.gateway.before(t, unsure.Internal, upstream)
			if status, body, _ := ask(t, front, http.MethodPost, "/order/", "Bearer "+good); status != test.away {
				t.Errorf("the database is away: %d %s, want %d", status, body, test.away)
			}
		})
	}
}

// unsureLogin starts a login service that cannot look up revocations.
func unsureLogin(t *testing.T) *service {
	t.Helper()
	return startWith(t, migrationstest.New(t), patient("on"), func(c *app.Config) {
		c.DB = pgtest.Config(t, "postgres://login_svc:x@127.0.0.1:1/away?sslmode=disable")
	})
}

// ask sends a request with forged X-User-Id headers.
func ask(t *testing.T, front *httptest.Server, method, target, authorization string) (status int, body string, header http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, front.URL, strings.NewReader(`{"lines":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + r.URL.Host + target
	r.Header["X-User-Id"] = []string{"eve", "mallory"}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// While the database is down, login returns 503 with Retry-After, uncached.
func TestAuthorizeRequestUnsure(t *testing.T) {
	t.Parallel()
	s := unsureLogin(t)
	raw, err := keysAt(time.Now()).Issue("minji", 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/int/auth/verify", "/int/auth/verify/request/order/"} {
		a := s.Get(t, path, "Authorization", "Bearer "+raw)
		if a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" ||
			a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-User-Id") != "" {
			t.Errorf("%s: %d %v", path, a.Status, a.Header)
		}
	}
}

// The token identifies the member, not a header.
func TestNoClaimIsBelieved(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	s.register(t, "minji", "correct horse")
	s.register(t, "eve", "battery staple")
	change := object(t, "old_pw", "correct horse", "new_pw", "another horse")
	for _, name := range []string{"X-User-Id", "x-user-id", "X_User_Id", "X-USER_ID"} {
		if a := s.Post(t, "/login/password/", asJSON, change, name, "minji"); a.Status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d %s", name, a.Status, a.Body)
		}
		// The old password is minji's, so for eve's token it is wrong.
		a := s.Post(t, "/login/password/", asJSON, change, name, "minji", "Authorization", "Bearer "+s.login(t, "eve", "battery staple"))
		mustRefuse(t, a, http.StatusBadRequest, "old_pw", "is not the member's password")
	}
	s.login(t, "minji", "correct horse")
}
