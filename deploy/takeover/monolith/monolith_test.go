package monolith

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/password"
)

// The services read the hash, and the stand-in reads Django's own.
func TestPassword(t *testing.T) {
	t.Parallel()
	const django = "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=" // of "lètmein"
	for _, test := range []struct {
		stored, password string
		want             bool
	}{
		{django, "lètmein", true},
		{django, "letmein", false},
		{"in clear text", "in clear text", true},
		{"in clear text", "In clear text", false},
		{"pbkdf2_sha256$many$seasalt$x", "x", false},
		{"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "x", false},
	} {
		if got := matches(test.stored, test.password); got != test.want {
			t.Errorf("%q for %q: %v, want %v", test.password, test.stored, got, test.want)
		}
	}
	stored, err := hash("secret")
	if err != nil || !matches(stored, "secret") || len(stored) > 100 {
		t.Errorf("own hash %q, %v", stored, err)
	}
	services := password.Verifier{Cost: password.Recommended()}
	if verdict, err := services.Verify(stored, "secret"); err != nil || !verdict.OK {
		t.Errorf("the services do not read %q: %v", stored, err)
	}
}

// Both prefixes lead to the same views, and requests are counted by what follows.
func TestPaths(t *testing.T) {
	t.Parallel()
	m := &StandIn{}
	h := m.Handler()
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/api/login/", http.StatusMethodNotAllowed},
		{"POST", "/order/", http.StatusUnauthorized},
		{"POST", "/api/order/", http.StatusUnauthorized},
		{"GET", "/order/myorder/?limit=5", http.StatusUnauthorized},
		{"GET", "/pasta/", http.StatusNotFound},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(test.method, test.path, http.NoBody))
		if w.Code != test.want || w.Header().Get(ServedBy) == "" {
			t.Errorf("%s %s: %d, %v; want %d", test.method, test.path, w.Code, w.Header(), test.want)
		}
	}
	if diff := cmp.Diff(map[string]int{"login": 1, "order": 3, "pasta": 1}, m.Answered()); diff != "" {
		t.Errorf("answered (- want, + got)\n%s", diff)
	}
}
