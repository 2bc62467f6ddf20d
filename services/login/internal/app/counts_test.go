package app_test

import (
	"testing"

	"example.com/pizza/migrations/migrationstest"
)

// Logins and registrations are counted by outcome.
func TestCounts(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	s.register(t, "minji", "correct horse")
	s.Post(t, "/login/register/", asJSON, object(t, "id", "minji", "pw", "battery staple", "name", "x"))
	s.Post(t, "/login/register/", asJSON, object(t, "id", "joon", "pw", "", "name", "x"))
	s.login(t, "minji", "correct horse")
	s.tryLogin(t, "minji", "battery staple")
	s.tryLogin(t, "nobody", "battery staple")
	s.tryLogin(t, "minji", "")
	for name, want := range map[string]float64{
		`login_registrations_total{outcome="succeeded"}`: 1,
		`login_registrations_total{outcome="refused"}`:   1,
		`login_registrations_total{outcome="invalid"}`:   1,
		`login_registrations_total{outcome="failed"}`:    0,
		`login_logins_total{outcome="succeeded"}`:        1,
		`login_logins_total{outcome="refused"}`:          2,
		`login_logins_total{outcome="invalid"}`:          1,
		`login_logins_total{outcome="limited"}`:          0,
	} {
		if got := s.metric(t, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
