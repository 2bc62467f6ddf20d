package ratelimit

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// The headers of draft-ietf-httpapi-ratelimit-headers-11: lists of structured
// fields (RFC 9651), with one member for each limit.
const (
	policyHeader = "RateLimit-Policy" // "account";q=10;w=60: a quota of 10 in a window of 60 seconds
	stateHeader  = "RateLimit"        // "account";r=9;t=6: 9 remain, and all of the quota in 6 seconds
)

type notesKey struct{}

// notes are the limits that a request was charged to or rejected by, and their states.
type notes []note

type note struct {
	limit    *Limit
	decision decision
}

// Announce is a middleware around handlers that call Check or Spend. It reports the
// limits that the request was charged to or rejected by in the headers of every answer.
func Announce(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		var n notes
		r := c.Request()
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), notesKey{}, &n)))
		c.Response().Before(func() { n.write(c.Response().Header()) })
		return next(c)
	}
}

// keep notes the last decision of a limit for Announce. The handler of a request
// calls it from one goroutine.
func keep(ctx context.Context, l *Limit, d decision) {
	n, ok := ctx.Value(notesKey{}).(*notes)
	if !ok {
		return
	}
	for i := range *n {
		if (*n)[i].limit == l {
			(*n)[i].decision = d
			return
		}
	}
	*n = append(*n, note{l, d})
}

// forget removes the notes of a charge that was refunded.
func forget(ctx context.Context, refunded []*Limit) {
	if n, ok := ctx.Value(notesKey{}).(*notes); ok {
		*n = slices.DeleteFunc(*n, func(e note) bool { return slices.Contains(refunded, e.limit) })
	}
}

func (n notes) write(h http.Header) {
	if len(n) == 0 {
		return
	}
	var policy, state []string
	for _, e := range n {
		policy = append(policy, fmt.Sprintf(`"%s";q=%d;w=%d`, e.limit.name, e.limit.rate.Count, seconds(e.limit.rate.Per)))
		state = append(state, fmt.Sprintf(`"%s";r=%d;t=%d`, e.limit.name, e.decision.remaining, seconds(e.decision.resetAfter)))
	}
	h.Set(policyHeader, strings.Join(policy, ", "))
	h.Set(stateHeader, strings.Join(state, ", "))
}

// seconds rounds up: a client that comes back then is never too early.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
