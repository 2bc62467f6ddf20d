package app_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/pizza/migrations/migrationstest"
)

// BenchmarkListMenu is GET /menu/ from the router to the last byte, without a
// network, on the seeded menu of 96 pizzas.
func BenchmarkListMenu(b *testing.B) {
	a := newApp(b, migrationstest.NewSeeded(b))
	get := func(path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		a.Server.Public().ServeHTTP(w, r)
		return w
	}
	etag := get("/menu/").Header().Get("ETag")
	for _, c := range []struct {
		name   string
		path   string
		header []string
		status int
	}{
		{"plain", "/menu/", nil, http.StatusOK},
		{"gzip", "/menu/", []string{"Accept-Encoding", "gzip"}, http.StatusOK},
		{"not_modified", "/menu/", []string{"If-None-Match", etag}, http.StatusNotModified},
		{"filtered", "/menu/?q=chicken&sort=price", nil, http.StatusOK},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := get(c.path, c.header...).Code; got != c.status {
					b.Fatal(got)
				}
			}
		})
	}
}
