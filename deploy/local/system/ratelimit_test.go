package system

import (
	"net/http"
	"testing"

	"example.com/pizza/deploy/local/stack"
)

// The login service trusts the gateway, and the gateway trusts no client: a
// client that claims changing addresses is limited by its real one.
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
	// The address in front of the gateway is another client, not counted so far.
	s.sendTo(t, "http://"+s.Service("login").Public, request{
		method: http.MethodPost, path: "/login/", media: mediaJSON, body: `{"id":"nobody","pw":"wrong"}`,
		header: map[string]string{"X-Forwarded-For": "203.0.113.9"},
	}).want(t, http.StatusUnauthorized)
}
