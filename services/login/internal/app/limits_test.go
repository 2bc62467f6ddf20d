package app_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/redis"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/login/internal/app"
	"example.com/pizza/services/login/internal/limits"
)

// hourly returns a rate that does not recover during a test.
func hourly(n int) ratelimit.Rate { return ratelimit.Rate{Count: n, Per: time.Hour} }

// limited starts a service with limits, behind a proxy on this machine.
func limited(t *testing.T, db *migrationstest.Database, l limits.Config, more ...func(*app.Config)) *service {
	t.Helper()
	return startWith(t, db, patient("on"), append([]func(*app.Config){func(c *app.Config) {
		c.Limits, c.Clients = l, clientaddr.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	}}, more...)...)
}

// from sends a login as the proxy forwards it for a client.
func (s *service) from(t *testing.T, client, id, pw string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/login/", asJSON, object(t, "id", id, "pw", pw), "X-Forwarded-For", client)
}

// mustLimit checks the response when a limit is reached.
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

// An account has a fixed number of attempts, right or wrong, from any number of
// clients; an unknown id has as many. A rejected attempt costs no hashing.
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

// A client has a fixed number of attempts across accounts. The address is the
// one that the proxy saw, not the one that the client claims.
func TestLoginRatePerAddress(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	l := limits.Config{LoginAddress: hourly(2), LoginAccount: hourly(3)}
	behindProxy := limited(t, db, l)
	direct := limited(t, db, l, func(c *app.Config) { c.Clients = clientaddr.Config{} })
	for name, test := range map[string]struct {
		service *service
		clients []string // three addresses of one client
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
			for range 5 { // the account's limit is not used up
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

// A single client cannot lock a member out: its limit is lower than the
// account's.
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
	for _, id := range []string{"mina", "minji "} { // this client's limit is per account
		if a := s.from(t, "203.0.113.1", id, "wrong"); a.Status != http.StatusUnauthorized {
			t.Errorf("%q: %d", id, a.Status)
		}
	}
}

// A stolen token gives no additional attempts at the password.
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
	// Existing sessions stay valid.
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
	for range 10 { // invalid registrations have a separate limit
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
	status(try("203.0.113.1", "jun"), http.StatusCreated) // the rejected one did not count
	mustLimit(t, try("203.0.113.1", "sora"), "address")
	status(try("203.0.113.2", "sora"), http.StatusCreated)
}

// Invalid registrations of a client are limited, regardless of the error, and
// do not count as registrations. Occasional typing errors lock nobody out.
func TestInvalidRegistrationsAreLimited(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{RegisterAccount: hourly(1), RegisterAddress: hourly(1)})
	try := func(client, body string) apitest.Answer {
		return s.Post(t, "/login/register/", asJSON, body, "X-Forwarded-For", client)
	}
	bodies := []string{
		`{"id":"minji","pw":"short","name":"x"}`, `{"id":7}`, `{}`, `[]`, `{`, ``, object(t, "id", "minji", "pw", strings.Repeat("\uFDFA", 20000), "name", "x"),
	}
	passed := 0
	for ; passed < 1000; passed++ {
		a := try("203.0.113.1", bodies[passed%len(bodies)])
		if a.Status == http.StatusTooManyRequests {
			mustLimit(t, a, "invalid-from-address")
			break
		}
		if got := a.Header.Get("RateLimit-Policy"); a.Status != http.StatusBadRequest || got != `"invalid-from-address";q=60;w=60` {
			t.Fatalf("try %d: %d, RateLimit-Policy %q", passed, a.Status, got)
		}
	}
	if passed < 60 || passed > 120 { // 60 at once, plus one per second of the loop
		t.Errorf("%d invalid registrations passed", passed)
	}
	good := object(t, "id", "minji", "pw", "correct horse", "name", "x")
	for range 59 {
		if a := try("203.0.113.2", bodies[0]); a.Status != http.StatusBadRequest {
			t.Fatalf("another client: %d", a.Status)
		}
	}
	if a := try("203.0.113.2", good); a.Status != http.StatusCreated {
		t.Errorf("after 59 mistakes: %d %s", a.Status, a.Body)
	}
}

// An attempt that one limit rejects does not count against the others: an
// office whose program hammers one account can still log in.
func TestRefusedTriesCostNothing(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{LoginAddress: hourly(5), LoginClient: hourly(3), LoginAccount: hourly(2)})
	for i := range 20 {
		a := s.from(t, "203.0.113.1", "hammered", "wrong")
		if i >= 2 {
			mustLimit(t, a, "account")
		}
	}
	a := s.from(t, "203.0.113.1", "colleague", "wrong")
	if got, want := a.Header.Get("RateLimit"), `"address";r=2;`; a.Status != http.StatusUnauthorized || !strings.HasPrefix(got, want) {
		t.Errorf("%d, RateLimit %q, want %s", a.Status, got, want)
	}
	mustLimit(t, s.from(t, "203.0.113.2", "hammered", "wrong"), "account")
}

// Of many concurrent attempts, exactly as many are checked as the limit allows.
// A 503 of the gate does not count, because nothing was checked.
func TestOnlyCheckedPasswordsCost(t *testing.T) {
	t.Parallel()
	const most = 12
	s := limited(t, migrationstest.New(t), limits.Config{LoginAccount: hourly(most), LoginAddress: hourly(1000)}, func(c *app.Config) {
		c.Password.Hashes, c.Password.Queue = 1, 2
		c.Password.Cost = password.Recommended() // slow enough to fill the queue
	})
	s.register(t, "minji", "correct horse")
	before := s.metric(t, `login_password_kdf_work_total{function="argon2id"}`)
	body := object(t, "id", "minji", "pw", "wrong")
	var all sync.WaitGroup
	var checked, busy atomic.Int32
	for range 60 {
		all.Go(func() {
			switch a, _ := s.Send(t.Context(), http.MethodPost, "/login/", body, "Content-Type", asJSON); a.Status {
			case http.StatusUnauthorized:
				checked.Add(1)
			case http.StatusServiceUnavailable:
				busy.Add(1)
			case http.StatusTooManyRequests:
			default:
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	all.Wait()
	t.Logf("%d checked, %d found the gate closed", checked.Load(), busy.Load())
	for s.tryLogin(t, "minji", "wrong").Status == http.StatusUnauthorized {
		checked.Add(1)
	}
	hashes := (s.metric(t, `login_password_kdf_work_total{function="argon2id"}`) - before) / float64(password.Recommended().Work())
	if checked.Load() != most || hashes != most || busy.Load() == 0 {
		t.Errorf("%d tries and %v hashes, want %d; %d found the gate closed", checked.Load(), hashes, most, busy.Load())
	}
}

// While the database is down, nothing is processed and nothing counts.
func TestOutageCostsNothing(t *testing.T) {
	t.Parallel()
	s := limited(t, migrationstest.New(t), limits.Config{LoginAccount: hourly(2), RegisterAddress: hourly(2), RegisterAccount: hourly(2)}, func(c *app.Config) {
		c.DB.Port = 1
	})
	for range 6 {
		for path, body := range map[string]string{
			"/login/": object(t, "id", "minji", "pw", "wrong"), "/login/register/": object(t, "id", "minji", "pw", "correct horse", "name", "x"),
		} {
			if a := s.Post(t, path, asJSON, body); a.Status != http.StatusServiceUnavailable {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
		}
	}
}

// Replicas share the rates through Redis. While it is down, members still log
// in, and each replica counts alone; afterwards they share again.
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
		for s.metric(t, "rate_limit_fallback") == 1 { // retried once per second
			s.tryLogin(t, "nobody", "wrong")
		}
		if strings.Count(s.Log.String(), "in Redis again") != 1 {
			t.Errorf("nothing says so: %s", s.Log)
		}
	}
	mustLimit(t, a.tryLogin(t, "nobody", "wrong"), "account")
	mustLimit(t, b.tryLogin(t, "nobody", "wrong"), "account")
}
