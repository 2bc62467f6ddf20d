package ratelimit

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// clock is a clock that only the test advances.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	redis *miniredis.Miniredis // has the same time; may be nil
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 18, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	if c.redis != nil {
		c.redis.SetTime(c.now)
		c.redis.FastForward(d) // expires keys
	}
}

// counters returns all implementations, each with its own clock.
func counters() map[string]func(t *testing.T) (counter, *clock) {
	return map[string]func(t *testing.T) (counter, *clock){
		"memory": func(*testing.T) (counter, *clock) {
			c := newClock()
			return newMemory(1000, c.Now), c
		},
		"redis": func(t *testing.T) (counter, *clock) {
			c := newClock()
			c.redis = miniredis.RunT(t)
			c.redis.SetTime(c.now)
			return shared{connect(t, c.redis)}, c
		},
	}
}

func connect(t *testing.T, server *miniredis.Miniredis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// limiter is one limit of a counter.
type limiter struct {
	counter
	limit string
	rate  Rate
}

func (l limiter) use(key string) use { return use{limit: l.limit, key: key, rate: l.rate} }

// contract runs a test against every counter.
func contract(t *testing.T, r Rate, test func(t *testing.T, l limiter, c *clock)) {
	t.Helper()
	t.Parallel()
	for name, open := range counters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, c := open(t)
			test(t, limiter{n, "test", r}, c)
		})
	}
}

// ask checks or spends one request under each key, and returns the decisions on the
// state before it.
func ask(t *testing.T, o op, l limiter, names ...string) []decision {
	t.Helper()
	uses := make([]use, len(names))
	for i, n := range names {
		uses[i] = l.use(n)
	}
	debts, err := l.count(t.Context(), o, uses)
	if err != nil {
		t.Error(err)
		return make([]decision, len(names))
	}
	all := make([]decision, len(names))
	for i := range all {
		all[i] = decide(l.rate, debts[i])
	}
	return all
}

func allow(t *testing.T, l limiter, key string) decision {
	t.Helper()
	return ask(t, spend, l, key)[0]
}

// tick is more than any limiter's rounding error.
const tick = 100 * time.Microsecond

func near(a, b time.Duration) bool { return (a - b).Abs() <= tick }

// A full burst, and then one by one. A decision describes the state before it.
func TestRate(t *testing.T) {
	contract(t, Rate{Count: 10, Per: time.Minute}, func(t *testing.T, l limiter, c *clock) {
		for i := range 10 {
			for _, o := range []op{check, check, spend} { // a check costs nothing
				d := ask(t, o, l, "a")[0]
				if !d.allowed || d.remaining != 10-i || d.retryAfter != 0 || !near(d.resetAfter, time.Duration(i)*6*time.Second) {
					t.Errorf("request %d is %+v", i+1, d)
				}
			}
		}
		for _, o := range []op{check, spend, check, spend} { // a rejection costs nothing
			d := ask(t, o, l, "a")[0]
			if d.allowed || d.remaining != 0 || !near(d.retryAfter, 6*time.Second) || !near(d.resetAfter, time.Minute) {
				t.Errorf("one too many is %+v", d)
			}
		}
		if d := allow(t, l, "b"); !d.allowed || d.remaining != 10 {
			t.Errorf("another key is %+v", d)
		}
		c.advance(6*time.Second - 2*tick)
		if d := allow(t, l, "a"); d.allowed || !near(d.retryAfter, 2*tick) || d.retryAfter <= 0 {
			t.Errorf("too early is %+v", d)
		}
		c.advance(3 * tick)
		if d := allow(t, l, "a"); !d.allowed || d.remaining != 1 {
			t.Errorf("in time is %+v", d)
		}
		if d := allow(t, l, "a"); d.allowed {
			t.Errorf("and another one is %+v", d)
		}
		c.advance(time.Hour)
		if d := allow(t, l, "a"); !d.allowed || d.remaining != 10 {
			t.Errorf("after an hour it is %+v", d)
		}
	})
}

func TestOneADay(t *testing.T) {
	contract(t, Rate{Count: 1, Per: 24 * time.Hour}, func(t *testing.T, l limiter, c *clock) {
		for day := range 3 {
			if d := allow(t, l, "a"); !d.allowed || d.remaining != 1 {
				t.Errorf("day %d: %+v", day, d)
			}
			c.advance(24*time.Hour - time.Second)
			if d := allow(t, l, "a"); d.allowed || !near(d.retryAfter, time.Second) {
				t.Errorf("day %d, too early: %+v", day, d)
			}
			c.advance(time.Second + tick)
		}
	})
}

// A request that one of its limits rejects is not charged to the others.
func TestAllOrNone(t *testing.T) {
	contract(t, Rate{Count: 3, Per: time.Hour}, func(t *testing.T, l limiter, _ *clock) {
		for range 3 {
			allow(t, l, "account")
		}
		for range 20 {
			d := ask(t, spend, l, "address", "account", "both")
			if !d[0].allowed || d[0].remaining != 3 || d[1].allowed || !d[2].allowed || d[2].remaining != 3 {
				t.Fatalf("decisions %+v", d)
			}
		}
		for i := range 3 {
			if d := ask(t, spend, l, "address", "both"); !d[0].allowed || d[0].remaining != 3-i || !d[1].allowed || d[1].remaining != 3-i {
				t.Errorf("request %d: %+v", i, d)
			}
		}
		if d := ask(t, spend, l, "address", "new"); d[0].allowed || !d[1].allowed {
			t.Errorf("one too many: %+v", d)
		}
	})
}

// Parallel requests that share some of their limits never exceed any of them, and
// use them up.
func TestAllOrNoneAtTheSameTime(t *testing.T) {
	contract(t, Rate{Count: 20, Per: time.Hour}, func(t *testing.T, l limiter, _ *clock) {
		var passed [4]atomic.Int64 // by account
		var all sync.WaitGroup
		for i := range 120 {
			all.Go(func() {
				account := i % len(passed)
				if d := ask(t, spend, l, "address", fmt.Sprint("account ", account)); d[0].allowed && d[1].allowed {
					passed[account].Add(1)
				}
			})
		}
		all.Wait()
		sum := int64(0)
		for account := range passed {
			n := passed[account].Load()
			sum += n
			if d := ask(t, check, l, fmt.Sprint("account ", account))[0]; int64(20-d.remaining) != n {
				t.Errorf("account %d was charged for %d, %d passed", account, 20-d.remaining, n)
			}
		}
		if sum != 20 {
			t.Errorf("%d passed", sum)
		}
	})
}

// A refund returns a charge, minus the part that has drained since.
func TestRefund(t *testing.T) {
	contract(t, Rate{Count: 3, Per: time.Minute}, func(t *testing.T, l limiter, c *clock) {
		back := func(d time.Duration) {
			u := l.use("a")
			u.back = d
			if _, err := l.count(t.Context(), refund, []use{u}); err != nil {
				t.Error(err)
			}
		}
		back(20 * time.Second) // of nothing
		for range 3 {
			allow(t, l, "a")
		}
		back(20 * time.Second)
		if d := allow(t, l, "a"); !d.allowed || d.remaining != 1 {
			t.Errorf("after a refund: %+v", d)
		}
		c.advance(5 * time.Second)
		back(15 * time.Second)
		if d := ask(t, check, l, "a")[0]; !near(d.resetAfter, 40*time.Second) {
			t.Errorf("after a late refund: %+v", d)
		}
		back(time.Hour)
		if d := ask(t, check, l, "a")[0]; d.remaining != 3 || d.resetAfter != 0 {
			t.Errorf("after a refund of more than there was: %+v", d)
		}
	})
}

// Concurrent requests get no more than sequential ones.
func TestAtTheSameTime(t *testing.T) {
	contract(t, Rate{Count: 50, Per: time.Hour}, func(t *testing.T, l limiter, _ *clock) {
		var allowed atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 10 {
					if allow(t, l, "a").allowed {
						allowed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if n := allowed.Load(); n != 50 {
			t.Errorf("%d are allowed", n)
		}
	})
}

// No time span allows more than the burst plus the rate over that span. A client
// that waits as long as it was told is allowed.
func TestNeverMoreThanTheRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := Rate{Count: 1 + random.IntN(20), Per: time.Duration(1+random.IntN(600)) * time.Second}
		for name, open := range counters() {
			steps := make([]time.Duration, 200)
			for i := range steps {
				if random.IntN(3) > 0 {
					steps[i] = time.Duration(random.ExpFloat64() * float64(r.Per) / float64(r.Count)).Truncate(time.Microsecond)
				}
			}
			t.Run(fmt.Sprintf("%s_%d_%d/%s", name, seed, r.Count, r.Per), func(t *testing.T) {
				t.Parallel()
				n, c := open(t)
				l := limiter{n, "test", r}
				var times []time.Time
				for _, step := range steps {
					c.advance(step)
					d := allow(t, l, "a")
					if !d.allowed && step%7 == 0 {
						c.advance(d.retryAfter + tick)
						if d = allow(t, l, "a"); !d.allowed {
							t.Fatalf("after the wait that it was told: %+v", d)
						}
					}
					if d.allowed {
						times = append(times, c.Now())
					}
				}
				if len(times) < r.Count {
					t.Fatalf("only %d of %d are allowed", len(times), len(steps))
				}
				for i, from := range times {
					for j, to := range times[i:] {
						if most := float64(r.Count) + (to.Sub(from)+tick).Seconds()/r.Per.Seconds()*float64(r.Count); float64(j+1) > most {
							t.Fatalf("%d within %s, at most %.2f may be", j+1, to.Sub(from), most)
						}
					}
				}
			})
		}
	}
}

// Replicas that share Redis share the rate.
func TestReplicas(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	rate := Rate{Count: 7, Per: time.Hour}
	replicas := []limiter{{shared{connect(t, server)}, "x", rate}, {shared{connect(t, server)}, "x", rate}}
	allowed := 0
	for i := range 20 {
		if allow(t, replicas[i%2], "a").allowed {
			allowed++
		}
	}
	if allowed != 7 {
		t.Errorf("%d are allowed", allowed)
	}
	if !allow(t, limiter{replicas[0].counter, "y", rate}, "a").allowed {
		t.Error("another limit counts together with it")
	}
	for _, key := range server.Keys() {
		if server.TTL(key) <= 0 {
			t.Errorf("%s stays for ever", key)
		}
	}
}

// An attacker that makes up keys cannot exhaust memory, and cannot evict a key that
// is being rejected.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := limiter{newMemory(10, c.Now), "test", Rate{Count: 1, Per: time.Hour}}
	allow(t, l, "a")
	for i := range 1000 {
		allow(t, l, fmt.Sprint("made up ", i))
		if i%9 == 0 && allow(t, l, "a").allowed {
			t.Fatalf("it is forgotten after %d", i)
		}
	}
	for i := range 10 {
		allow(t, l, fmt.Sprint("others ", i))
	}
	if !allow(t, l, "a").allowed {
		t.Error("more keys are kept than may be")
	}
}
