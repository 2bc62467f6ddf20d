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
	s := start(t, migrationstest.NewSeeded(t))
	const lookUp = `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`
	for _, test := range []struct {
		method, path, body string
		status             int
		allow              string
	}{
		{"GET", "/menu/", "", 200, ""},
		{"GET", "/menu", "", 200, ""},
		{"GET", "/api/menu/", "", 200, ""},
		{"GET", "/api/menu", "", 200, ""},
		{"HEAD", "/menu/", "", 200, ""},
		{"GET", "/menu/types", "", 200, ""},
		{"GET", "/api/menu/types/", "", 200, ""},
		{"HEAD", "/api/menu/types", "", 200, ""},
		{"POST", "/api/menu/get_pizza_id", lookUp, 200, ""},
		{"GET", "/menu/openapi.json", "", 200, ""},
		{"GET", "/api/menu/openapi.json", "", 200, ""},
		{"GET", "/healthz", "", 200, ""},
		{"GET", "/livez", "", 200, ""},
		{"POST", "/menu/", "{}", 405, "OPTIONS, GET, HEAD"},
		{"DELETE", "/api/menu/types", "", 405, "OPTIONS, GET, HEAD"},
		{"GET", "/menu/get_pizza_id/", "", 405, "OPTIONS, POST"},
		{"PATCH", "/menu/get_pizza_id", lookUp, 405, "OPTIONS, POST"},
		{"GET", "/int/menu/quote", "", 405, "OPTIONS, POST"},
		{"GET", "/int/menu/catalog", "", 200, ""},
		{"POST", "/int/menu/catalog/", "{}", 405, "OPTIONS, GET, HEAD"},
		{"POST", "/int/menu/types/x", "{}", 405, "OPTIONS, DELETE, PUT"},
		{"GET", "/menu/durian", "", 404, ""},
		{"GET", "/metrics", "", 404, ""},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			t.Parallel()
			a := s.Call(t, test.method, test.path, test.body, "Content-Type", asJSON)
			if a.Status != test.status || a.Header.Get("Allow") != test.allow {
				t.Errorf("%d, Allow %q: %s", a.Status, a.Header.Get("Allow"), a.Body)
			}
			if a.Status >= 400 && a.Header.Get("Content-Type") != problem.ContentType {
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
	s := start(t, migrationstest.NewSeeded(t))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	onlyPublic := &service{&apitest.Service{Public: s.Public, Internal: s.Public, Client: &http.Client{Transport: transport}}}
	for _, path := range []string{"/int/menu/quote", "/api/int/menu/quote/", "/int/menu/catalog", "/int/menu/types/bbq_ckn", "/int/menu/pizzas/bbq_ckn_l"} {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
			if a := onlyPublic.write(t, method, path, quoteOf(1)); a.Status != http.StatusNotFound {
				t.Errorf("%s %s: %d", method, path, a.Status)
			}
		}
	}
	if doc := string(s.Get(t, "/menu/openapi.json").Body); !strings.Contains(doc, "/menu/get_pizza_id/") || strings.Contains(doc, `"/int/`) {
		t.Error("the public document is not the public part")
	}
}
