package login

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
)

// Outcomes of a login or registration, as label values.
const (
	hasSucceeded = "succeeded"
	wasInvalid   = "invalid" // a field is missing or not allowed
	wasRefused   = "refused" // the password is wrong, or the id is taken
	wasLimited   = "limited" // tried too often
	hasFailed    = "failed"  // our fault, or too much to do
)

// counts are the numbers of the business.
type counts struct{ logins, registrations *prometheus.CounterVec }

func newCounts(registry prometheus.Registerer) counts {
	outcome := []string{"outcome"}
	c := counts{
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "login_logins_total", Help: "Logins, by outcome: succeeded, invalid, refused (id or password wrong), limited (429), failed.",
		}, outcome),
		registrations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "login_registrations_total", Help: "Registrations, by outcome: succeeded, invalid, refused (the id is taken), limited (429), failed.",
		}, outcome),
	}
	for _, o := range []string{hasSucceeded, wasInvalid, wasRefused, wasLimited, hasFailed} {
		c.logins.WithLabelValues(o) // so that the first one is an increase
		c.registrations.WithLabelValues(o)
	}
	registry.MustRegister(c.logins, c.registrations)
	return c
}

func outcome(err error) string {
	if err == nil {
		return hasSucceeded
	}
	switch fault.CodeOf(err) {
	case fault.Invalid:
		return wasInvalid
	case fault.Unauthenticated, fault.Conflict:
		return wasRefused
	case fault.RateLimited:
		return wasLimited
	default:
		return hasFailed
	}
}
