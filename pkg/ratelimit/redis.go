package ratelimit

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// prefix begins every key. It has the number of the format, like that of every
// entry in Redis. The braces are a hash tag: all keys of one script are in one slot,
// as proxies and managed services that are a Redis Cluster behind one address ask.
const prefix = "{pizza:limit:2}:"

// script counts all keys of a request in one step, by the clock of Redis, so the
// clocks of the replicas need not agree. redis_rate has no script for several keys.
//
// ARGV is the op and, for each key, in microseconds: the interval, the burst, and
// what to give back. The answer is the debt of each key before. A key expires when
// its bucket is empty.
var script = redis.NewScript(`
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local debts, fit = {}, true
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i])
  local empty = tonumber(redis.call("GET", key) or now)
  debts[i] = math.min(math.max(empty - now, 0), burst)
  fit = fit and debts[i] + interval <= burst
end
for i, key in ipairs(KEYS) do
  local debt = debts[i]
  if ARGV[1] == "spend" and fit then
    debt = debt + tonumber(ARGV[3*i-1])
  elseif ARGV[1] == "refund" and debt > 0 then
    debt = math.max(debt - tonumber(ARGV[3*i+1]), 0)
  end
  if debt ~= debts[i] then
    redis.call("SET", key, string.format("%.0f", now + debt), "PX", math.ceil(debt / 1000) + 1)
  end
end
return debts
`)

// shared is the counter of all processes that use the same Redis. It needs the
// commands EVALSHA, EVAL, TIME, GET and SET, and Redis 5 or later.
type shared struct{ client *redis.Client }

// count implements counter. Its errors are those of Redis.
func (s shared) count(ctx context.Context, o op, uses []use) ([]time.Duration, error) {
	names := make([]string, len(uses))
	arguments := []any{string(o)}
	for i, u := range uses {
		names[i] = prefix + u.limit + ":" + u.key
		arguments = append(arguments, u.rate.interval().Microseconds(), u.rate.burst().Microseconds(), u.back.Microseconds())
	}
	answer, err := script.Run(ctx, s.client, names, arguments...).Int64Slice()
	if err != nil {
		return nil, err
	}
	if len(answer) != len(uses) {
		return nil, fmt.Errorf("redis counted %d of %d keys", len(answer), len(uses))
	}
	debts := make([]time.Duration, len(uses))
	for i, us := range answer {
		debts[i] = time.Duration(us) * time.Microsecond
	}
	return debts, nil
}
