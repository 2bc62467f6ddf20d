package system

import (
	"net/http"
	"testing"

	"example.com/pizza/deploy/local/stack"
)

// The login service believes the gateway, and the gateway nobody: who claims to be
// ever another client is limited as the one that it is.
func TestClaimedAddressesAreLimited(t *testing.T) {
	t.Parallel()
	s := start(t, stack.Options{Environ: []string{"LOGIN_RATE_PER_ADDRESS=2/h"}})
	for i, want := range []int{http.StatusUnauthorized, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		claimed := "203.0.113." + string(rune('1'+i))
		a := s.send(t, request{
			method: http.MethodPost, path: "/login/", media: mediaJSON, body: `{"id":"nobody","pw":"wrong"}`,
			header: map[string]string{"X-Forwarded-For": claimed, "Forwarded": "for=" + claimed, "X-Real-Ip": claimed},
		}).want(t, want)
		if a.header.Get("RateLimit") == "" {
			t.Errorf("try %d has no RateLimit: %v", i, a.header)
		}
	}
	// The one before the gateway is another client: nothing is counted for it yet.
	s.sendTo(t, "http://"+s.Service("login").Public, request{
		method: http.MethodPost, path: "/login/", media: mediaJSON, body: `{"id":"nobody","pw":"wrong"}`,
		header: map[string]string{"X-Forwarded-For": "203.0.113.9"},
	}).want(t, http.StatusUnauthorized)
}
