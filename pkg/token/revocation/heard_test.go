package revocation

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/token"
)

// Whatever is notified withdraws no token but those that it names.
func FuzzHeard(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", `{"jti":"j","member_id":"ada","expires_at":"2099-01-01T00:00:00Z"}`, `{"member_id":"ada","generation":3}`,
		`{"member_id":"","jti":"x"}`, `{"member_id":"ada","generation":-1}`, `{"member_id":["ada"]}`, `{"member_id":"ada","expires_at":"x"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		s := New(nil, Config{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), time.Now)
		s.heard(payload)
		s.forget()
		other := token.Claims{ID: "no notification names it", MemberID: "nor this member \x00"}
		if revoked, _ := s.look(other); revoked {
			t.Errorf("%q withdraws another token", payload)
		}
	})
}
