package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
)

// The outcomes of a login or registration, as label values.
const (
	succeeded    = "succeeded"
	invalid      = "invalid" // a field is missing or not allowed
	refused      = "refused" // the password is wrong, or the id is taken
	rateLimited  = "limited" // too many attempts
	serverFailed = "failed"  // an error or an overload of the service
)

// counts are the business metrics.
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
	for _, o := range []string{succeeded, invalid, refused, rateLimited, serverFailed} {
		c.logins.WithLabelValues(o) // from the start, so that the first one is an increase
		c.registrations.WithLabelValues(o)
	}
	registry.MustRegister(c.logins, c.registrations)
	return c
}

// outcome returns the label value of a result.
func outcome(err error) string {
	if err == nil {
		return succeeded
	}
	switch fault.CodeOf(err) {
	case fault.Invalid:
		return invalid
	case fault.Unauthenticated, fault.Conflict:
		return refused
	case fault.RateLimited:
		return rateLimited
	default:
		return serverFailed
	}
}
