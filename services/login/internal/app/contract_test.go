package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/contract"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/limits"
)

const consumers = "../../api/consumers"

// TestContracts verifies login against its consumers' contracts.
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
	contract.Provide(t, consumers, api.Document, map[string]contract.State{
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

// TestContractOfGateways: a gateway that behaves like these sends what login
// expects, and lets through what login authorizes.
func TestContractOfGateways(t *testing.T) {
	t.Parallel()
	c, err := contract.Read(consumers + "/gateway.yaml")
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-User-Id"))
	}))
	t.Cleanup(upstream.Close)
	for name, gateway := range map[string]gateway{"nginx": nginx, "traefik": traefik} {
		// through sends a request through the gateway, with login at url.
		through := func(t *testing.T, url, authorization string) apitest.Answer {
			s := apitest.Service{Public: gateway.before(t, url, upstream).URL, Client: upstream.Client()}
			if authorization == "" {
				return s.Get(t, "/api/order/")
			}
			return s.Get(t, "/api/order/", "Authorization", authorization)
		}
		kim := "Bearer " + c.Interactions[0].With["token"]
		refused := func(t *testing.T, a apitest.Answer) {
			if a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%d %v", a.Status, a.Header)
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Consume(t, map[string]func(*testing.T, string){
				"a request with a good token": func(t *testing.T, url string) {
					if a := through(t, url, kim); a.Status != http.StatusOK || string(a.Body) != "kim" {
						t.Errorf("%d %s", a.Status, a.Body)
					}
				},
				"a request with a token that was revoked": func(t *testing.T, url string) { refused(t, through(t, url, kim)) },
				"a request without a token":               func(t *testing.T, url string) { refused(t, through(t, url, "")) },
			})
		})
	}
}
