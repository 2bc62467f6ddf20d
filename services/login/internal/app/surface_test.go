package app_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
)

func TestSurface(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"POST", "/login/", 400, ""}, // exists, but the body is empty
		{"POST", "/login", 400, ""},
		{"POST", "/api/login/", 400, ""},
		{"POST", "/api/login", 400, ""},
		{"POST", "/login/register/", 400, ""},
		{"POST", "/login/register", 400, ""},
		{"POST", "/api/login/register/", 400, ""},
		{"POST", "/api/login/register", 400, ""},
		{"POST", "/login/password/", 401, ""},
		{"POST", "/login/password", 401, ""},
		{"POST", "/api/login/password/", 401, ""},
		{"POST", "/api/login/password", 401, ""},
		{"GET", "/login/password/", 405, "OPTIONS, POST"},
		{"GET", "/login/logout/", 200, ""},
		{"GET", "/login/logout", 200, ""},
		{"GET", "/api/login/logout/", 200, ""},
		{"GET", "/api/login/logout", 200, ""},
		{"HEAD", "/login/logout/", 405, "OPTIONS, GET"},
		{"GET", "/login/openapi.json", 200, ""},
		{"GET", "/api/login/openapi.json", 200, ""},
		{"GET", "/healthz", 200, ""},
		{"GET", "/livez", 200, ""},
		{"GET", "/int/auth/verify", 401, ""},
		{"HEAD", "/int/auth/verify", 401, ""},
		{"POST", "/int/auth/verify/", 400, ""},
		{"GET", "/login/", 405, "OPTIONS, POST"},
		{"PUT", "/api/login", 405, "OPTIONS, POST"},
		{"GET", "/login/register/", 405, "OPTIONS, POST"},
		{"DELETE", "/login/register", 405, "OPTIONS, POST"},
		{"POST", "/login/logout/", 405, "OPTIONS, GET"},
		{"DELETE", "/int/auth/verify", 405, "OPTIONS, GET, HEAD, POST"},
		{"GET", "/login/minji", 404, ""},
		{"GET", "/Login/logout/", 404, ""},
		{"GET", "/metrics", 404, ""},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			t.Parallel()
			a := s.Call(t, test.method, test.path, "", "Content-Type", asJSON)
			if a.Status != test.status || a.Header.Get("Allow") != test.allow {
				t.Errorf("%d, Allow %q: %s", a.Status, a.Header.Get("Allow"), a.Body)
			}
			if a.Status >= 402 && a.Header.Get("Content-Type") != problem.ContentType {
				t.Errorf("Content-Type %q", a.Header.Get("Content-Type"))
			}
			if test.method == http.MethodHead && len(a.Body) != 0 {
				t.Errorf("HEAD has a body: %s", a.Body)
			}
		})
	}
}

// Internal paths are neither on the public port nor in its document.
func TestInternalIsNotPublic(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	// Not checked against the document, which contains the path.
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	onlyPublic := &apitest.Service{Public: s.Public, Internal: s.Public, Client: &http.Client{Transport: transport}}
	for _, path := range []string{"/int/auth/verify", "/api/int/auth/verify/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			if a := onlyPublic.Call(t, method, path, `{"token":"x"}`, "Content-Type", asJSON); a.Status != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, path, a.Status)
			}
		}
	}
	if doc := string(s.Get(t, "/login/openapi.json").Body); !strings.Contains(doc, "/login/register/") || strings.Contains(doc, `"/int/`) {
		t.Error("the public document is not the public part")
	}
}
