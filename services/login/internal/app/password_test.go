package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/app"
)

func (s *service) changePassword(t *testing.T, raw, contentType, body string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/login/password/", contentType, body, "Authorization", "Bearer "+raw)
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	for _, test := range []struct{ name, contentType, body string }{
		{"ok", asJSON, `{"old_pw":"correct horse","new_pw":"battery staple"}`},
		{"long_names", asJSON, `{"old_password":"correct horse","new_password":"battery staple"}`},
		{"form", asForm, `old_pw=correct+horse&new_pw=battery+staple`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s.register(t, test.name, "correct horse")
			used, other := s.login(t, test.name, "correct horse"), s.login(t, test.name, "correct horse")
			a := s.changePassword(t, used, test.contentType, test.body)
			want := api.PasswordChanged{
				MemberID: test.name, Message: "the password was changed, and all other sessions have ended", TokenType: "Bearer", ExpiresIn: 3600,
			}
			got := apitest.Decode[api.PasswordChanged](t, a, http.StatusOK)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(api.PasswordChanged{}, "Token")); diff != "" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control %q\n%s", a.Header.Get("Cache-Control"), diff)
			}
			for _, old := range []string{used, other} {
				if refused := apitest.Decode[api.RefusedToken](t, s.verify(t, old), http.StatusUnauthorized); refused.Reason != api.RefusalReasonRevoked {
					t.Errorf("an old token is %q", refused.Reason)
				}
			}
			apitest.Decode[api.GoodToken](t, s.verify(t, got.Token), http.StatusOK)
			mustRefuse(t, s.tryLogin(t, test.name, "correct horse"), http.StatusUnauthorized)
			s.login(t, test.name, "battery staple")
			if strings.Contains(s.Log.String(), "battery staple") || !strings.Contains(s.Log.String(), `"event":"password_changed"`) {
				t.Errorf("the log:\n%s", s.Log)
			}
		})
	}
	t.Run("of_the_old_system", func(t *testing.T) {
		t.Parallel()
		conn := superuser(t, db)
		for name, value := range stored() {
			exec(t, conn, "INSERT INTO member VALUES ($1, $2, 'x')", name, value)
			raw, err := keysAt(time.Now()).Issue(name, 0, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			apitest.Decode[api.PasswordChanged](t, s.changePassword(t, raw, asJSON, `{"old_pw":"pizza1234","new_pw":"battery staple"}`), http.StatusOK)
			s.login(t, name, "battery staple")
		}
	})
}

func TestChangePasswordRefuses(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	s.register(t, "kim-minji", "correct horse")
	good := s.login(t, "kim-minji", "correct horse")
	out := s.login(t, "kim-minji", "correct horse")
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+out)
	const missing = "is required"
	const body = `{"old_pw":"correct horse","new_pw":"battery staple"}`
	for _, test := range []struct {
		name, token, contentType, body string
		status                         int
		fields                         []string
	}{
		{"no_token", "", asJSON, body, 401, nil},
		{"bad_token", "garbage", asJSON, body, 401, nil},
		{"expired_token", expired(t, "kim-minji"), asJSON, body, 401, nil},
		{"foreign_token", foreign(t, "kim-minji"), asJSON, body, 401, nil},
		{"revoked_token", out, asJSON, body, 401, nil},
		{"no_token_comes_before_bad_fields", "", asJSON, `{}`, 401, nil},
		{"missing_fields", good, asJSON, `{}`, 400, []string{"old_pw", missing, "new_pw", missing}},
		{"wrong_types", good, asJSON, `{"old_password":1}`, 400, []string{"old_password", "must be a string", "new_pw", missing}},
		{"wrong_old_password", good, asJSON, `{"old_pw":"wrong horse","new_pw":"battery staple"}`, 400, []string{"old_pw", "is not the member's password"}},
		{"wrong_old_password_as_sent", good, asForm, `old_password=wrong&new_password=battery+staple`, 400, []string{"old_password", "is not the member's password"}},
		{"short", good, asJSON, `{"old_pw":"correct horse","new_pw":"staple"}`, 400, []string{"new_pw", "must be at least 8 characters"}},
		{"long", good, asJSON, object(t, "old_pw", "correct horse", "new_pw", strings.Repeat("xy", 65)), 400, []string{"new_pw", "must be at most 128 characters"}},
		{"common", good, asJSON, `{"old_pw":"correct horse","new_password":"Qwerty2024!"}`, 400, []string{"new_password", "is one of the most common passwords"}},
		{"id", good, asJSON, `{"old_pw":"correct horse","new_pw":"Kim-MINJI"}`, 400, []string{"new_pw", "must not be the id"}},
		{"same", good, asJSON, `{"old_pw":"correct horse","new_pw":"correct horse"}`, 400, []string{"new_pw", "must differ from the old password"}},
		{"nul", good, asJSON, `{"old_pw":"\u0000","new_pw":"battery staple"}`, 400, []string{"old_pw", "must not contain a NUL character"}},
		{"broken_json", good, asJSON, `{`, 400, nil},
		{"text", good, "text/plain", body, 415, nil},
		{"over_the_limit", good, asJSON, `{"old_pw":"` + strings.Repeat("x", 64<<10) + `"}`, 413, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.changePassword(t, test.token, test.contentType, test.body)
			mustRefuse(t, a, test.status, test.fields...)
			if (test.status == 401) != (a.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
			}
		})
	}
	s.login(t, "kim-minji", "correct horse") // nothing has changed
}

// Of many concurrent changes one succeeds, and its password is the new one.
func TestChangePasswordAtTheSameMoment(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	s.register(t, "minji", "correct horse")
	raw := s.login(t, "minji", "correct horse")
	const many = 6
	type result struct {
		pw     string
		status int
	}
	results := make(chan result, many)
	for i := range many {
		pw := "battery staple " + string(rune('a'+i))
		body := object(t, "old_pw", "correct horse", "new_pw", pw)
		go func() {
			a, _ := s.Send(t.Context(), http.MethodPost, "/login/password/", body, "Content-Type", asJSON, "Authorization", "Bearer "+raw)
			results <- result{pw, a.Status}
		}()
	}
	var winners []string
	for range many {
		switch r := <-results; r.status {
		case http.StatusOK:
			winners = append(winners, r.pw)
		case http.StatusBadRequest, http.StatusConflict, http.StatusUnauthorized: // old password and token are no longer valid
		default:
			t.Errorf("status %d", r.status)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d changed it", len(winners))
	}
	s.login(t, "minji", winners[0])
}

// A missing blocklist stops the service at startup.
func TestBlocklistIsRead(t *testing.T) {
	t.Parallel()
	_, err := config.Load[app.Config]([]string{"PASSWORD_BLOCKLIST=" + t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "PASSWORD_BLOCKLIST") {
		t.Error(err)
	}
}
