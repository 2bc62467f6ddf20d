package ratelimit

import (
	"context"
	"math"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

// Redis is a Limiter of all processes that use the same Redis. A key is counted
// by one Lua script, which is one step for all of them and goes by the clock of
// Redis, so that theirs need not agree. It needs the commands EVALSHA, EVAL, TIME,
// GET and SET, and a Redis that keeps effects apart from scripts (3.2 or later);
// an entry is gone when it has no more to say.
type Redis struct {
	limiter *redis_rate.Limiter
	prefix  string
	rate    Rate
}

// NewRedis returns a limiter whose keys begin with prefix.
func NewRedis(client *redis.Client, prefix string, r Rate) *Redis {
	return &Redis{redis_rate.NewLimiter(client), prefix, r}
}

// Allow implements Limiter. Its errors are those of Redis.
func (r *Redis) Allow(ctx context.Context, key string) (Decision, error) {
	got, err := r.limiter.Allow(ctx, r.prefix+key, redis_rate.Limit{Rate: r.rate.Count, Burst: r.rate.Count, Period: r.rate.Per})
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Allowed: got.Allowed > 0, Limit: r.rate.Count, ResetAfter: got.ResetAfter}
	if !d.Allowed {
		d.RetryAfter = max(got.RetryAfter, time.Microsecond)
		return d, nil
	}
	// The script counts in floating point, where 9 may be 8.9999.
	used := float64(got.ResetAfter) / float64(r.rate.interval())
	d.Remaining = max(0, int(math.Floor(float64(r.rate.Count)-used+1e-3)))
	return d, nil
}
