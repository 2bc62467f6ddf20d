package app_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/apitest"
	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/redis"
	"example.com/pizza/services/login/internal/app"
	"example.com/pizza/services/login/internal/limits"
)

// hourly is a rate at which nothing comes back while a test runs.
func hourly(n int) ratelimit.Rate { return ratelimit.Rate{Count: n, Per: time.Hour} }

// limited starts a service with limits, behind a proxy on this machine.
func limited(t *testing.T, db *migrationstest.Database, l limits.Config, more ...func(*app.Config)) *service {
	t.Helper()
	return startWith(t, db, patient("on"), append([]func(*app.Config){func(c *app.Config) {
		c.Limits, c.Clients = l, clientaddr.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	}}, more...)...)
}

// from sends a login as the proxy does for a client.
func (s *service) from(t *testing.T, client, id, pw string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/login/", asJSON, object(t, "id", id, "pw", pw), "X-Forwarded-For", client)
}

// mustLimit checks the answer of a limit that is reached.
func mustLimit(t *testing.T, a apitest.Answer, by string) {
	t.Helper()
	p := apitest.Decode[problem.Problem](t, a, http.StatusTooManyRequests)
	if want := "too many requests: the " + by + " limit is used up; try again later"; p.Detail != want {
		t.Errorf("detail %q, want %q", p.Detail, want)
	}
	if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 || after > 3600 {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}
	if state := a.Header.Get("RateLimit"); !strings.Contains(state, `"`+by+`";r=0;t=`) {
		t.Errorf("RateLimit %q", state)
	}
}

// However many clients ask: an account has so many tries, right or wrong, and one
// that is nobody's has as many. A refused one costs no work.
func TestLoginRatePerAccount(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{LoginAccount: hourly(3)})
	s.register(t, "minji", "correct horse")
	s.register(t, "mina", "correct horse")
	for _, test := range []struct {
		id   string
		last int
	}{{"minji", http.StatusOK}, {"nobody", http.StatusUnauthorized}} {
		for i, want := range []struct {
			pw     string
			status int
		}{{"wrong", http.StatusUnauthorized}, {"wrong", http.StatusUnauthorized}, {"correct horse", test.last}} {
			a := s.from(t, fmt.Sprintf("203.0.113.%d", i), test.id, want.pw)
			if a.Status != want.status {
				t.Errorf("%s, try %d: %d %s", test.id, i, a.Status, a.Body)
			}
			if got, want := a.Header.Get("RateLimit-Policy"), `"account";q=3;w=3600`; got != want {
				t.Errorf("RateLimit-Policy %q, want %q", got, want)
			}
			if got, want := a.Header.Get("RateLimit"), fmt.Sprintf(`"account";r=%d;t=`, 2-i); !strings.HasPrefix(got, want) {
				t.Errorf("RateLimit %q, want %q", got, want)
			}
		}
		const work = `login_password_kdf_work_total{function="argon2id"}`
		before := s.metric(t, work)
		for _, pw := range []string{"wrong", "correct horse"} {
			mustLimit(t, s.from(t, "198.51.100.1", test.id, pw), "account")
		}
		if after := s.metric(t, work); after != before {
			t.Errorf("%s: a refusal costs %v", test.id, after-before)
		}
	}
	s.login(t, "mina", "correct horse")
	if n := s.metric(t, `rate_limit_requests_total{limit="account",outcome="refused",route="login"}`); n != 4 {
		t.Errorf("%v refusals are counted", n)
	}
	if n := strings.Count(s.Log.String(), `"event":"rate_limited","outcome":"failure","actor":"anonymous","route":"login","limit":"account"`); n != 4 {
		t.Errorf("%d refusals are in the audit", n)
	}
	for _, personal := range []string{"203.0.113", "198.51.100"} {
		if strings.Contains(s.Log.String(), personal) {
			t.Errorf("the log has the address of a client: %s", s.Log)
		}
	}
}

// A client has so many tries, for whatever account; and it is the client that the
// proxy has seen, whatever it claims to be.
func TestLoginRatePerAddress(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	l := limits.Config{LoginAddress: hourly(2), LoginAccount: hourly(3)}
	behindProxy := limited(t, db, l)
	direct := limited(t, db, l, func(c *app.Config) { c.Clients = clientaddr.Config{} })
	for name, test := range map[string]struct {
		service *service
		clients []string // three that are one
	}{
		"one_client":              {behindProxy, []string{"203.0.113.7", "203.0.113.7", "203.0.113.7"}},
		"spoofed_through_proxy":   {behindProxy, []string{"1.1.1.1, 203.0.113.8", "127.0.0.2, 203.0.113.8", "x, 203.0.113.8"}},
		"addresses_of_one_/64":    {behindProxy, []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:0:ffff::"}},
		"spoofed_without_a_proxy": {direct, []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, client := range test.clients[:2] {
				a := test.service.from(t, client, fmt.Sprint(name, i), "wrong")
				if a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("RateLimit"), fmt.Sprintf(`"address";r=%d;`, 1-i)) {
					t.Errorf("try %d: %d %q", i, a.Status, a.Header.Get("RateLimit"))
				}
			}
			for range 5 { // nothing of the account's is used up
				mustLimit(t, test.service.from(t, test.clients[2], name+" victim", "wrong"), "address")
			}
		})
	}
	t.Run("another_client", func(t *testing.T) {
		t.Parallel()
		a := behindProxy.from(t, "198.51.100.1", "one_client victim", "wrong")
		if got, want := a.Header.Get("RateLimit"), `"account";r=2;`; a.Status != http.StatusUnauthorized || !strings.Contains(got, want) {
			t.Errorf("%d %q, want %s", a.Status, got, want)
		}
	})
}

// One client alone cannot lock a member out: what it may try is less than what the
// account allows.
func TestOneClientLocksNobodyOut(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{LoginAccount: hourly(4), LoginClient: hourly(2)})
	s.register(t, "minji", "correct horse")
	for i := range 20 {
		a := s.from(t, "203.0.113.1", "minji", "wrong")
		if i >= 2 {
			mustLimit(t, a, "account-from-address")
		} else if a.Status != http.StatusUnauthorized {
			t.Errorf("try %d: %d %s", i, a.Status, a.Body)
		}
	}
	a := s.from(t, "198.51.100.1", "minji", "correct horse")
	if got, want := a.Header.Get("RateLimit"), `"account-from-address";r=1;`; a.Status != http.StatusOK || !strings.HasPrefix(got, want) {
		t.Errorf("the member gets %d, RateLimit %q", a.Status, got)
	}
	for _, id := range []string{"mina", "minji "} { // the client is known for other accounts by its address alone
		if a := s.from(t, "203.0.113.1", id, "wrong"); a.Status != http.StatusUnauthorized {
			t.Errorf("%q: %d", id, a.Status)
		}
	}
}

// A stolen token is no other way to try passwords.
func TestPasswordChangeSharesTheLoginRate(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{LoginAccount: hourly(3)})
	s.register(t, "minji", "correct horse")
	raw := s.login(t, "minji", "correct horse")
	change := func() apitest.Answer {
		return s.Post(t, "/login/password/", asJSON, `{"old_pw":"wrong","new_pw":"battery staple"}`, "Authorization", "Bearer "+raw)
	}
	for range 2 {
		mustRefuse(t, change(), http.StatusBadRequest, "old_pw", "is not the member's password")
	}
	mustLimit(t, change(), "account")
	mustLimit(t, s.tryLogin(t, "minji", "correct horse"), "account")
	// Who is logged in stays so.
	if a := s.verify(t, raw); a.Status != http.StatusOK {
		t.Errorf("the token is answered with %d", a.Status)
	}
}

func TestRegisterRate(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{RegisterAccount: hourly(2), RegisterAddress: hourly(3)})
	try := func(client, id string) apitest.Answer {
		return s.Post(t, "/login/register/", asJSON, object(t, "id", id, "pw", "correct horse", "name", "x"), "X-Forwarded-For", client)
	}
	status := func(a apitest.Answer, want int) {
		t.Helper()
		if a.Status != want {
			t.Errorf("status %d, want %d: %s", a.Status, want, a.Body)
		}
	}
	for range 10 { // what breaks a rule is not counted
		status(s.Post(t, "/login/register/", asJSON, `{"id":"minji","pw":"short","name":"x"}`), http.StatusBadRequest)
	}
	a := try("203.0.113.1", "minji")
	status(a, http.StatusCreated)
	if diff := cmp.Diff(`"address";q=3;w=3600, "account";q=2;w=3600`, a.Header.Get("RateLimit-Policy")); diff != "" {
		t.Error(diff)
	}
	status(try("203.0.113.1", "minji"), http.StatusConflict)
	mustLimit(t, try("203.0.113.1", "minji"), "account")
	mustLimit(t, try("203.0.113.2", "minji"), "account")
	mustLimit(t, try("203.0.113.1", "jun"), "address")
	status(try("203.0.113.2", "jun"), http.StatusCreated)
}

// Replicas share the rates through Redis. When it goes, members still log in, and
// each replica counts alone; when it is back, they count together again.
func TestRatesAreShared(t *testing.T) {
	t.Parallel()
	db, cache := migrationstest.New(t), miniredis.RunT(t)
	shared := func(c *app.Config) { c.Cache = redis.Config{URL: "redis://" + cache.Addr(), Timeout: 20 * time.Second} }
	l := limits.Config{LoginAccount: hourly(2)}
	a, b := limited(t, db, l, shared), limited(t, db, l, shared)
	a.register(t, "minji", "correct horse")
	a.login(t, "minji", "correct horse")
	b.login(t, "minji", "correct horse")
	mustLimit(t, a.tryLogin(t, "minji", "correct horse"), "account")
	mustLimit(t, b.tryLogin(t, "minji", "correct horse"), "account")

	cache.Close()
	for _, s := range []*service{a, b} {
		s.login(t, "minji", "correct horse")
		s.login(t, "minji", "correct horse")
		mustLimit(t, s.tryLogin(t, "minji", "correct horse"), "account")
		if s.metric(t, "rate_limit_fallback") != 1 || strings.Count(s.Log.String(), "counted in memory") != 1 {
			t.Errorf("nothing says so: %s", s.Log)
		}
	}

	if err := cache.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*service{a, b} {
		for s.metric(t, "rate_limit_fallback") == 1 { // it is tried once in a second
			s.tryLogin(t, "nobody", "wrong")
		}
		if strings.Count(s.Log.String(), "in Redis again") != 1 {
			t.Errorf("nothing says so: %s", s.Log)
		}
	}
	mustLimit(t, a.tryLogin(t, "nobody", "wrong"), "account")
	mustLimit(t, b.tryLogin(t, "nobody", "wrong"), "account")
}
