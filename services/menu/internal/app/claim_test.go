package app_test

import (
	"net/http"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
)

// A header that names a user authorizes no catalog change. Menu does not accept
// member tokens either.
func TestNoClaimIsBelieved(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	for _, name := range []string{"X-User-Id", "x-user-id", "X_User_Id", "X-USER_ID"} {
		for _, path := range []string{"/int/menu/types/bbq_ckn", "/int/menu/pizzas/bbq_ckn_l"} {
			for _, method := range []string{http.MethodPut, http.MethodDelete} {
				apitest.Decode[problem.Problem](t, s.Call(t, method, path, "{}", name, "admin"), http.StatusUnauthorized)
				apitest.Decode[problem.Problem](t, s.Call(t, method, path, "{}", name, adminToken), http.StatusUnauthorized)
			}
		}
	}
}
