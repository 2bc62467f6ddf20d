package app_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/quotecache"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const secret = "an-order-test-secret-of-32-bytes-or-more"

// service is a running order service and the keys of its tokens.
type service struct {
	*apitest.Service
	keys *token.Keys
}

// start starts the order service on a test database; it calls the menu at
// menuURL to price each order.
func start(t *testing.T, db *migrationstest.Database, menuURL string) *service {
	t.Helper()
	return startWith(t, app.Config{
		DB:   pgtest.Config(t, db.URL("order_svc")),
		Menu: menuclient.Config{BaseURL: menuURL, Timeout: 2 * time.Second},
	})
}

// startCached is like start, with cached prices, the default.
func startCached(t *testing.T, db *migrationstest.Database, menuURL string) *service {
	t.Helper()
	return startWith(t, app.Config{
		DB:    pgtest.Config(t, db.URL("order_svc")),
		Menu:  menuclient.Config{BaseURL: menuURL, Timeout: 2 * time.Second},
		Quote: quotecache.Config{MaxStale: 10 * time.Minute},
	})
}

func startWith(t *testing.T, c app.Config) *service {
	t.Helper()
	if c.Token.SecretFile == "" {
		c.Token.Secret = secret
	}
	log := logtest.New(t, secret, string(c.DB.Password))
	a := newApp(t, c, log.Logger("order"))
	return &service{apitest.Serve(t, a.Server, api.Document).Logging(log), token.NewKeys(c.Token, time.Now)}
}

// newApp wires the order service, with defaults for settings that c omits.
func newApp(t testing.TB, c app.Config, log *slog.Logger) *app.App {
	t.Helper()
	if c.HTTP.RequestTimeout == 0 {
		c.HTTP.RequestTimeout = 10 * time.Second
	}
	c.HTTP.ShutdownTimeout = 5 * time.Second
	c.Shop = app.Shop{TimeZone: "Asia/Seoul"}
	if c.Idempotency == (idempotency.Config{}) {
		c.Idempotency = idempotency.Config{TTL: 24 * time.Hour, Every: time.Hour}
	}
	if c.Admission == (app.Admission{}) {
		c.Admission = app.Admission{Queue: 1000, Wait: time.Minute} // other tests must not be rejected
	}
	if c.Events == (connect.Config{}) {
		var err error
		if c.Events, err = config.Load[connect.Config](nil); err != nil {
			t.Fatal(err)
		}
	}
	a, err := app.New(context.Background(), c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// as returns a valid token of a member.
func (s *service) as(t *testing.T, memberID string) string {
	t.Helper()
	raw, err := s.keys.Issue(memberID, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// revoked returns a revoked token of a member.
func (s *service) revoked(t *testing.T, db *migrationstest.Database, memberID string) string {
	t.Helper()
	raw := s.as(t, memberID)
	claims, err := s.keys.Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	const logout = "INSERT INTO revoked_token (jti, member_id, expires_at) VALUES ($1, $2, now() + interval '1 hour')"
	if _, err := admin(t, db).Exec(t.Context(), logout, claims.ID, memberID); err != nil {
		t.Fatal(err)
	}
	return raw
}

// member returns the headers that carry a member's token.
func member(bearer string) []string {
	if bearer == "" {
		return nil
	}
	return []string{"Authorization", "Bearer " + bearer}
}

// order sends an order, as JSON.
func (s *service) order(t *testing.T, bearer, body string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/order/", "application/json", body, member(bearer)...)
}

// get reads a path as a member, or without a token if bearer is empty.
func (s *service) get(t *testing.T, path, bearer string) apitest.Answer {
	t.Helper()
	return s.Get(t, path, member(bearer)...)
}
