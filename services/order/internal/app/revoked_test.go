package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// A revoked token gets 401, and does not use up its owner's limits.
func TestRevokedTokenChargesNothing(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startWith(t, app.Config{
		DB:     pgtest.Config(t, db.URL("order_svc")),
		Menu:   menuclient.Config{BaseURL: startMenu(t, db), Timeout: 2 * time.Second},
		Limits: app.Limits{Order: ratelimit.Rate{Count: 2, Per: time.Hour}},
	})
	stolen, own := s.revoked(t, db, "minji"), s.as(t, "minji")
	first := s.orderOnce(t, own, bbq)
	mustBeFirst(t, first)
	refuse := func(name string, a apitest.Answer) {
		t.Helper()
		p := apitest.Decode[problem.Problem](t, a, http.StatusUnauthorized)
		want := `Bearer realm="pizza", error="invalid_token", error_description="the token was revoked"`
		if got := a.Header.Get("WWW-Authenticate"); p.Detail != "the token was revoked" || got != want {
			t.Errorf("%s: %q, WWW-Authenticate %s", name, p.Detail, got)
		}
		if got := a.Header.Get("RateLimit"); got != "" {
			t.Errorf("%s: counted, %s", name, got)
		}
	}
	for range 3 {
		refuse("order", s.order(t, stolen, bbq))
		refuse("known key", s.orderOnce(t, stolen, bbq))
		refuse("new key", s.Post(t, "/order/", "application/json", bbq, append(member(stolen), "Idempotency-Key", "new")...))
		refuse("unknown pizza", s.order(t, stolen, strings.Replace(bbq, "bbq", "xyz", 1)))
		refuse("my orders", s.get(t, "/order/myorder/", stolen))
		refuse("one order", s.get(t, first.Header.Get("Location"), stolen))
		stolen = s.revoked(t, db, "minji") // one that this process has not seen yet
	}
	mustBeFirst(t, s.order(t, own, bbq))
	mustHave(t, admin(t, db), 2, 1)
}
