package ratelimit

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/redis"
)

// replica has the counters of one process.
type replica struct {
	*Counters
	registry *prometheus.Registry
	log      *strings.Builder
}

func open(t *testing.T, url string, timeout time.Duration, now func() time.Time) replica {
	t.Helper()
	r := replica{registry: prometheus.NewRegistry(), log: new(strings.Builder)}
	var err error
	if r.Counters, err = Open(redis.Config{URL: url, Timeout: timeout}, slog.New(slog.NewTextHandler(r.log, nil)), r.registry, now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func (r replica) mustCount(t *testing.T, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(r.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// spent returns the number of allowed tries.
func spent(t *testing.T, l *Limit, who string, tries int) (allowed int) {
	t.Helper()
	for range tries {
		switch _, err := Spend(t.Context(), l.For(who)); {
		case err == nil:
			allowed++
		case !errors.Is(err, ErrLimited) || fault.CodeOf(err) != fault.RateLimited:
			t.Fatal(err)
		}
	}
	return allowed
}

func TestLimit(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := open(t, "", 0, c.Now)
	account := r.Limit("login", "account", Rate{Count: 3, Per: time.Minute})
	other := r.Limit("register", "account", Rate{Count: 3, Per: time.Minute})
	if n := spent(t, account, "minji", 5); n != 3 {
		t.Errorf("%d are allowed", n)
	}
	if a, b := spent(t, account, strings.Repeat("minji", 10000), 5), spent(t, other, "minji", 1); a != 3 || b != 1 {
		t.Errorf("of another account %d, of another route %d are allowed", a, b)
	}
	var f *fault.Error
	if err := Check(t.Context(), account.For("minji")); !errors.As(err, &f) || f.RetryAfter != 20*time.Second || strings.Contains(f.Error(), "minji") {
		t.Errorf("refused as %v", err)
	}
	r.mustCount(t, `
# HELP rate_limit_requests_total Requests by route, rate limit (such as account) and outcome: allowed (spent of this limit), refused (429, because of this limit).
# TYPE rate_limit_requests_total counter
rate_limit_requests_total{limit="account",outcome="allowed",route="login"} 6
rate_limit_requests_total{limit="account",outcome="refused",route="login"} 5
rate_limit_requests_total{limit="account",outcome="allowed",route="register"} 1
rate_limit_requests_total{limit="account",outcome="refused",route="register"} 0
`, "rate_limit_requests_total")
	if off := r.Limit("login", "address", Rate{}); spent(t, off, "x", 1000) != 1000 {
		t.Error("a limit that is off refuses")
	}
}

// Two replicas share the rate through Redis. While Redis is down, each allows the
// whole rate; afterwards they share it again. Each change is logged once.
func TestRedisGoesAndComesBack(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.redis = miniredis.RunT(t)
	c.redis.SetTime(c.now)
	rate := Rate{Count: 4, Per: time.Hour}
	var replicas []replica
	var limits []*Limit
	for range 2 {
		r := open(t, "redis://"+c.redis.Addr(), 5*time.Second, c.Now)
		replicas, limits = append(replicas, r), append(limits, r.Limit("login", "account", rate))
	}
	mustState := func(fallback, errors string) {
		t.Helper()
		for _, r := range replicas {
			r.mustCount(t, "# HELP rate_limit_fallback 1 while this process counts rate limits alone because the shared Redis does not answer, else 0.\n"+
				"# TYPE rate_limit_fallback gauge\nrate_limit_fallback "+fallback+"\n"+
				"# HELP rate_limit_redis_errors_total Rate limit commands that Redis has not answered in time.\n"+
				"# TYPE rate_limit_redis_errors_total counter\nrate_limit_redis_errors_total "+errors+"\n",
				"rate_limit_fallback", "rate_limit_redis_errors_total")
		}
	}
	if a, b := spent(t, limits[0], "minji", 3), spent(t, limits[1], "minji", 3); a != 3 || b != 1 {
		t.Errorf("together %d and %d are allowed", a, b)
	}
	mustState("0", "0")
	c.redis.Close()
	for i, l := range limits {
		if n := spent(t, l, "minji", 20); n != 4 {
			t.Errorf("alone, replica %d allows %d", i, n)
		}
	}
	mustState("1", "1") // only the first of twenty asks
	c.advance(2 * time.Second)
	spent(t, limits[0], "jun", 10)
	spent(t, limits[1], "jun", 10)
	mustState("1", "2")
	if err := c.redis.Restart(); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Second)
	if a, b := spent(t, limits[0], "minji", 3), spent(t, limits[1], "sora", 9); a != 0 || b != 4 {
		t.Errorf("again together %d and %d are allowed", a, b)
	}
	mustState("0", "2")
	for _, r := range replicas {
		if gone, back := strings.Count(r.log.String(), "counted in memory"), strings.Count(r.log.String(), "in Redis again"); gone != 1 || back != 1 {
			t.Errorf("logged %d times that it is gone, %d times that it is back:\n%s", gone, back, r.log)
		}
		if strings.Contains(r.log.String(), "minji") {
			t.Error("the log names a member")
		}
	}
}

// If Redis has lost the script, it gets the script again.
func TestRedisForgetsTheScript(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.redis = miniredis.RunT(t)
	r := open(t, "redis://"+c.redis.Addr(), 5*time.Second, c.Now)
	l := r.Limit("login", "account", Rate{Count: 4, Per: time.Hour})
	spent(t, l, "minji", 1)
	c.redis.FlushAll()
	if err := connect(t, c.redis).ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if n := spent(t, l, "minji", 9); n != 4 || strings.Contains(r.log.String(), "counted in memory") {
		t.Errorf("%d are allowed, %s", n, r.log)
	}
}

// A Redis that accepts connections but never answers delays one request by the
// timeout, and no other: the clock stands still, so Redis is not asked again.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	r := open(t, "redis://"+silent.Addr().String(), 10*time.Millisecond, newClock().Now)
	l := r.Limit("login", "account", Rate{Count: 4, Per: time.Hour})
	if n := spent(t, l, "minji", 10000); n != 4 {
		t.Errorf("%d are allowed", n)
	}
	r.mustCount(t, `
# HELP rate_limit_redis_errors_total Rate limit commands that Redis has not answered in time.
# TYPE rate_limit_redis_errors_total counter
rate_limit_redis_errors_total 1
`, "rate_limit_redis_errors_total")
}

// A canceled request is not a failure of Redis.
func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	c := newClock()
	c.redis = miniredis.RunT(t)
	r := open(t, "redis://"+c.redis.Addr(), 5*time.Second, c.Now)
	l := r.Limit("login", "account", Rate{Count: 4, Per: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Spend(ctx, l.For("minji")); err != nil {
		t.Error(err)
	}
	if r.log.Len() > 0 {
		t.Errorf("logged: %s", r.log)
	}
}

// Every response of a handler that spends has the headers, errors included.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := open(t, "", 0, c.Now)
	address := r.Limit("login", "address", Rate{Count: 100, Per: time.Hour})
	account := r.Limit("login", "account", Rate{Count: 2, Per: time.Minute})
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) { _ = problem.Write(c.Response(), err, "") }
	e.GET("/spend", func(c echo.Context) error {
		ctx := c.Request().Context()
		if err := Check(ctx, account.For("x")); err != nil {
			return err
		}
		if _, err := Spend(ctx, account.For("x"), (*Limit)(nil).For("x"), address.For("x")); err != nil {
			return err
		}
		return c.NoContent(http.StatusOK)
	}, Announce)
	e.GET("/off", func(c echo.Context) error { return c.NoContent(http.StatusOK) }, Announce)
	get := func(path string) *http.Response {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w.Result()
	}
	const accountAlone, both = `"account";q=2;w=60`, `"account";q=2;w=60, "address";q=100;w=3600`
	for i, want := range []struct {
		status               int
		state, policy, retry string
	}{
		{http.StatusOK, `"account";r=1;t=30, "address";r=99;t=36`, both, ""},
		{http.StatusOK, `"account";r=0;t=60, "address";r=98;t=72`, both, ""},
		{http.StatusTooManyRequests, `"account";r=0;t=60`, accountAlone, "30"},
	} {
		a := get("/spend")
		if err := a.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if a.StatusCode != want.status || a.Header.Get("RateLimit") != want.state || a.Header.Get("Retry-After") != want.retry ||
			a.Header.Get("RateLimit-Policy") != want.policy {
			t.Errorf("answer %d is %d %v", i, a.StatusCode, a.Header)
		}
	}
	if a := get("/off"); len(a.Header) > 0 {
		t.Errorf("without limits: %v", a.Header)
	} else if err := a.Body.Close(); err != nil {
		t.Fatal(err)
	}
}

// If several limits reject a request, the error and Retry-After are those of the
// longest wait. So a client that retries then is not rejected by another limit.
func TestRefusalNamesTheLongestWait(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := open(t, "", 0, c.Now)
	short := r.Limit("login", "short", Rate{Count: 1, Per: time.Minute})
	long := r.Limit("login", "long", Rate{Count: 1, Per: time.Hour})
	for _, order := range [][]Charge{{short.For("x"), long.For("x")}, {long.For("x"), short.For("x")}} {
		_, _ = Spend(t.Context(), order...)
		_, err := Spend(t.Context(), order...)
		var f *fault.Error
		if !errors.As(err, &f) || f.RetryAfter != time.Hour || !strings.Contains(f.Detail, "the long limit") {
			t.Errorf("refused as %v", err)
		}
	}
	if n := strings.Count(r.log.String(), "rate_limited"); n != 3 {
		t.Errorf("%d refusals are in the audit: %s", n, r.log)
	}
}

// A refund returns the charge of its Spend to the counter that counted it, minus the
// part that has drained since. So a client cannot gain from refunds.
func TestRefundOfASpend(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "redis"} {
		c := newClock()
		if url != "" {
			c.redis = miniredis.RunT(t)
			c.redis.SetTime(c.now)
			url = "redis://" + c.redis.Addr()
		}
		l := open(t, url, 5*time.Second, c.Now).Limit("order", "member", Rate{Count: 4, Per: 4 * time.Minute})
		var refunds []func()
		for range 4 {
			giveBack, err := Spend(t.Context(), l.For("minji"))
			if err != nil {
				t.Fatal(err)
			}
			refunds = append(refunds, giveBack)
		}
		refunds[0]()
		refunds[1]()
		if n := spent(t, l, "minji", 9); n != 2 {
			t.Errorf("%q: %d are allowed after two refunds", url, n)
		}
		c.advance(61 * time.Second)
		refunds[2]() // its charge has drained
		if n := spent(t, l, "minji", 9); n != 1 {
			t.Errorf("%q: %d are allowed a minute later", url, n)
		}
	}
}
