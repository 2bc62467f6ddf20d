package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate allows Count requests at once, and as many again, one by one, in each Per.
// The zero Rate is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// The bounds of a Rate. Redis counts in microseconds, so the time of one must be
// many of these.
const (
	maxPer      = 24 * time.Hour
	minInterval = 50 * time.Microsecond
)

var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// UnmarshalText reads a rate: 10/s, 10/m, 10/h, 10/d, or with any time, 10/15m. Off
// and 0 are none.
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "" || s == "off" || s == "0" {
		*r = Rate{}
		return nil
	}
	count, per, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return errors.New("a rate begins with a whole number of at least 1")
	}
	d, ok := units[per]
	if !ok {
		if d, err = time.ParseDuration(per); err != nil {
			return errors.New("a rate ends with /s, /m, /h, /d or a time such as /15m")
		}
	}
	if d < time.Second || d > maxPer || d/time.Duration(n) < minInterval {
		return fmt.Errorf("a rate is per 1s to %s, and of at most one in %s", maxPer, minInterval)
	}
	*r = Rate{n, d}
	return nil
}

// Pattern returns the regular expression of a rate, for package config: what it
// lets through and UnmarshalText refuses is out of bounds.
func (Rate) Pattern() (pattern, words string) {
	return `^(off|0|[1-9][0-9]*/(s|m|h|d|([0-9]+(\.[0-9]+)?(ms|s|m|h))+))$`, "a rate, such as 10/m, 5/15m or off"
}

// Off reports whether there is no bound.
func (r Rate) Off() bool { return r.Count == 0 }

// interval is the time after which one more is allowed, in whole microseconds,
// in which Redis counts; rounded up, so never more than the rate.
func (r Rate) interval() time.Duration {
	us := r.Per.Microseconds()
	return time.Duration((us+int64(r.Count)-1)/int64(r.Count)) * time.Microsecond
}

// burst is the debt that a key may have: Count requests at once.
func (r Rate) burst() time.Duration { return r.interval() * time.Duration(r.Count) }

// fits reports whether a key with this debt may have one more request.
func (r Rate) fits(debt time.Duration) bool { return debt+r.interval() <= r.burst() }

// debt bounds a debt: a bucket is never less than empty nor, after the rate or a
// clock has changed, more than full.
func (r Rate) debt(d time.Duration) time.Duration { return min(max(d, 0), r.burst()) }
