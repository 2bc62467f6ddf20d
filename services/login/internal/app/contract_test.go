package app_test

import (
	"net/http"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/apitest"
	"example.com/pizza/pkg/contract"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/limits"
)

// TestContracts holds login to what its consumers wrote down.
func TestContracts(t *testing.T) {
	const pw = "kims-secret"
	none := func(t *testing.T) *service { return start(t, migrationstest.New(t)) }
	kim := func(t *testing.T) *service {
		s := none(t)
		a := s.Post(t, "/login/register/", asJSON, object(t, "id", "kim", "pw", pw, "name", "Kim Minji"))
		apitest.Decode[api.Registered](t, a, http.StatusCreated)
		return s
	}
	provided := func(s *service, token string) contract.Provider {
		return contract.Provider{Service: s.Service, Values: map[string]string{"token": token}}
	}
	contract.Provide(t, "../../api/consumers", api.Document, map[string]contract.State{
		"nobody is registered": func(t *testing.T) contract.Provider { return provided(none(t), "") },
		"kim is a member":      func(t *testing.T) contract.Provider { return provided(kim(t), "") },
		"kim is logged in": func(t *testing.T) contract.Provider {
			s := kim(t)
			return provided(s, s.login(t, "kim", pw))
		},
		"kim has logged out": func(t *testing.T) contract.Provider {
			s := kim(t)
			token := s.login(t, "kim", pw)
			apitest.Decode[api.LoggedOut](t, s.Get(t, "/login/logout/", "Authorization", "Bearer "+token), http.StatusOK)
			return provided(s, token)
		},
		"kim has used up the tries": func(t *testing.T) contract.Provider {
			s := limited(t, migrationstest.New(t), limits.Config{LoginAccount: hourly(1)})
			s.tryLogin(t, "kim", pw)
			return provided(s, "")
		},
	})
}
