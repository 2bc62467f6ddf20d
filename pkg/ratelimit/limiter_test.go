package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"example.com/pizza/pkg/ratelimit"
)

// clock is a time that only the test moves.
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
		c.redis.FastForward(d) // what is to expire
	}
}

// limiters are all that there are, each with a clock of its own.
func limiters() map[string]func(t *testing.T, r ratelimit.Rate) (ratelimit.Limiter, *clock) {
	return map[string]func(t *testing.T, r ratelimit.Rate) (ratelimit.Limiter, *clock){
		"memory": func(_ *testing.T, r ratelimit.Rate) (ratelimit.Limiter, *clock) {
			c := newClock()
			return ratelimit.NewMemory(r, 1000, c.Now), c
		},
		"redis": func(t *testing.T, r ratelimit.Rate) (ratelimit.Limiter, *clock) {
			c := newClock()
			c.redis = miniredis.RunT(t)
			c.redis.SetTime(c.now)
			return ratelimit.NewRedis(connect(t, c.redis), "test:", r), c
		},
	}
}

func connect(t *testing.T, server *miniredis.Miniredis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// contract runs a test against every limiter.
func contract(t *testing.T, r ratelimit.Rate, test func(t *testing.T, l ratelimit.Limiter, c *clock)) {
	t.Helper()
	t.Parallel()
	for name, open := range limiters() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, c := open(t, r)
			test(t, l, c)
		})
	}
}

func allow(t *testing.T, l ratelimit.Limiter, key string) ratelimit.Decision {
	t.Helper()
	d, err := l.Allow(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tick is more than any limiter rounds away.
const tick = 100 * time.Microsecond

func near(a, b time.Duration) bool { return (a - b).Abs() <= tick }

// All at once, and from then on one by one.
func TestRate(t *testing.T) {
	contract(t, ratelimit.Rate{Count: 10, Per: time.Minute}, func(t *testing.T, l ratelimit.Limiter, c *clock) {
		for i := range 10 {
			d := allow(t, l, "a")
			if !d.Allowed || d.Limit != 10 || d.Remaining != 9-i || d.RetryAfter != 0 || !near(d.ResetAfter, time.Duration(i+1)*6*time.Second) {
				t.Errorf("the %d. is %+v", i+1, d)
			}
		}
		for range 5 { // they cost nothing
			d := allow(t, l, "a")
			if d.Allowed || d.Limit != 10 || d.Remaining != 0 || !near(d.RetryAfter, 6*time.Second) || !near(d.ResetAfter, time.Minute) {
				t.Errorf("one too many is %+v", d)
			}
		}
		if d := allow(t, l, "b"); !d.Allowed || d.Remaining != 9 {
			t.Errorf("another key is %+v", d)
		}
		c.advance(6*time.Second - 2*tick)
		if d := allow(t, l, "a"); d.Allowed || !near(d.RetryAfter, 2*tick) || d.RetryAfter <= 0 {
			t.Errorf("too early is %+v", d)
		}
		c.advance(3 * tick)
		if d := allow(t, l, "a"); !d.Allowed || d.Remaining != 0 {
			t.Errorf("in time is %+v", d)
		}
		if d := allow(t, l, "a"); d.Allowed {
			t.Errorf("and another one is %+v", d)
		}
		c.advance(time.Hour)
		if d := allow(t, l, "a"); !d.Allowed || d.Remaining != 9 {
			t.Errorf("after long it is %+v", d)
		}
	})
}

func TestOneADay(t *testing.T) {
	contract(t, ratelimit.Rate{Count: 1, Per: 24 * time.Hour}, func(t *testing.T, l ratelimit.Limiter, c *clock) {
		for day := range 3 {
			if d := allow(t, l, "a"); !d.Allowed || d.Remaining != 0 {
				t.Errorf("day %d: %+v", day, d)
			}
			c.advance(24*time.Hour - time.Second)
			if d := allow(t, l, "a"); d.Allowed || !near(d.RetryAfter, time.Second) {
				t.Errorf("day %d, too early: %+v", day, d)
			}
			c.advance(time.Second + tick)
		}
	})
}

// Many at the same time are no more than one by one.
func TestAtTheSameTime(t *testing.T) {
	contract(t, ratelimit.Rate{Count: 50, Per: time.Hour}, func(t *testing.T, l ratelimit.Limiter, _ *clock) {
		var allowed atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for range 10 {
					d, err := l.Allow(context.Background(), "a")
					if err != nil {
						t.Error(err)
					}
					if d.Allowed {
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

// Whatever is tried when: in no span of time more is allowed than the burst and
// what the rate gives in that span; and who waits as long as it was told is
// allowed.
func TestNeverMoreThanTheRate(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := ratelimit.Rate{Count: 1 + random.IntN(20), Per: time.Duration(1+random.IntN(600)) * time.Second}
		for name, open := range limiters() {
			steps := make([]time.Duration, 200)
			for i := range steps {
				if random.IntN(3) > 0 {
					steps[i] = time.Duration(random.ExpFloat64() * float64(r.Per) / float64(r.Count)).Truncate(time.Microsecond)
				}
			}
			t.Run(fmt.Sprintf("%s_%d_%d/%s", name, seed, r.Count, r.Per), func(t *testing.T) {
				t.Parallel()
				l, c := open(t, r)
				var times []time.Time
				for _, step := range steps {
					c.advance(step)
					d := allow(t, l, "a")
					if !d.Allowed && step%7 == 0 {
						c.advance(d.RetryAfter + tick)
						if d = allow(t, l, "a"); !d.Allowed {
							t.Fatalf("after the wait that it was told: %+v", d)
						}
					}
					if d.Allowed {
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
	rate := ratelimit.Rate{Count: 7, Per: time.Hour}
	replicas := []ratelimit.Limiter{
		ratelimit.NewRedis(connect(t, server), "x:", rate), ratelimit.NewRedis(connect(t, server), "x:", rate),
	}
	allowed := 0
	for i := range 20 {
		if allow(t, replicas[i%2], "a").Allowed {
			allowed++
		}
	}
	if allowed != 7 {
		t.Errorf("%d are allowed", allowed)
	}
	if !allow(t, ratelimit.NewRedis(connect(t, server), "y:", rate), "a").Allowed {
		t.Error("another limit counts together with it")
	}
	for _, key := range server.Keys() {
		if server.TTL(key) <= 0 {
			t.Errorf("%s stays for ever", key)
		}
	}
}

// An attacker that makes up keys fills no memory, and frees no key that it is
// being refused under.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	l := ratelimit.NewMemory(ratelimit.Rate{Count: 1, Per: time.Hour}, 10, c.Now)
	allow(t, l, "a")
	for i := range 1000 {
		allow(t, l, fmt.Sprint("made up ", i))
		if i%9 == 0 && allow(t, l, "a").Allowed {
			t.Fatalf("it is forgotten after %d", i)
		}
	}
	for i := range 10 {
		allow(t, l, fmt.Sprint("others ", i))
	}
	if !allow(t, l, "a").Allowed {
		t.Error("more keys are kept than may be")
	}
}
