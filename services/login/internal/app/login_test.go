package app_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/api"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	apitest.Decode[api.Registered](t, s.Post(t, "/login/register/", asJSON, `{"id":"minji","pw":"correct horse","name":"김민지"}`), http.StatusCreated)

	for _, test := range []struct{ name, path, contentType, body string }{
		{"ok", "/login/", asJSON, `{"id":"minji","pw":"correct horse"}`},
		{"names_of_the_answers", "/api/login", asJSON, `{"member_id":"minji","password":"correct horse"}`},
		{"names_of_the_table", "/login", asJSON, `{"member_id":"minji","member_pwd":"correct horse"}`},
		{"form", "/api/login/", asForm, `id=minji&pw=correct+horse`},
		{"unknown_fields_are_ignored", "/login/", asJSON, `{"id":"minji","pw":"correct horse","name":7,"remember":true}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := s.Post(t, test.path, test.contentType, test.body)
			got := apitest.Decode[api.Session](t, a, http.StatusOK)
			want := api.Session{TokenType: "Bearer", ExpiresIn: 3600, MemberID: "minji", MemberNm: "김민지"}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(api.Session{}, "Token")); diff != "" {
				t.Error(diff)
			}
			if a.Header.Get("Cache-Control") != "no-store" {
				t.Error("caches may keep the token")
			}
			if good := apitest.Decode[api.GoodToken](t, s.verify(t, got.Token), http.StatusOK); good.MemberID != "minji" || !good.Valid {
				t.Errorf("verified as %+v", good)
			}
		})
	}

	t.Run("wrong_credentials", func(t *testing.T) {
		t.Parallel()
		ignore := cmpopts.IgnoreFields(problem.Problem{}, "TraceID")
		wrong := mustRefuse(t, s.tryLogin(t, "minji", "wrong horse"), http.StatusUnauthorized)
		for name, credentials := range map[string][2]string{
			"unknown_id": {"nobody", "correct horse"}, "other_case": {"Minji", "correct horse"}, "blank_after": {"minji ", "correct horse"},
			"password_other_case": {"minji", "Correct horse"}, "password_longer": {"minji", "correct horse "},
			"sql": {"minji' OR '1'='1", "' OR '1'='1' --"}, "sql_password": {"minji", "' OR '1'='1' --"}, "wildcard": {"%", "correct horse"},
			"id_of_nobody_ever": {strings.Repeat("a", 5000), "x"}, "long_password": {"minji", strings.Repeat("x", 4096)},
		} {
			t.Run(name, func(t *testing.T) {
				a := s.tryLogin(t, credentials[0], credentials[1])
				if diff := cmp.Diff(wrong, mustRefuse(t, a, http.StatusUnauthorized), ignore); diff != "" {
					t.Errorf("not the answer to a wrong password:\n%s", diff)
				}
				if a.Header.Get("WWW-Authenticate") == "" {
					t.Error("no WWW-Authenticate")
				}
			})
		}
	})
	t.Run("token_says_what_the_contract_says", func(t *testing.T) {
		t.Parallel()
		claims, err := keysAt(time.Now()).Verify(s.login(t, "minji", "correct horse"))
		if err != nil {
			t.Fatal(err)
		}
		if claims.MemberID != "minji" || claims.ID == "" || claims.ExpiresAt.Sub(claims.IssuedAt) != time.Hour {
			t.Errorf("claims %+v", claims)
		}
	})
	t.Run("token_expires", func(t *testing.T) {
		t.Parallel()
		_, err := keysAt(time.Now().Add(time.Hour + time.Minute)).Verify(s.login(t, "minji", "correct horse"))
		if !errors.Is(err, token.ErrExpired) {
			t.Errorf("an hour later: %v", err)
		}
	})
	t.Run("each_has_its_own_token", func(t *testing.T) {
		t.Parallel()
		if a, b := s.login(t, "minji", "correct horse"), s.login(t, "minji", "correct horse"); a == b {
			t.Error("two logins, one token")
		}
	})
}

func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	const missing = "is required"
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		fields                  []string
	}{
		{"missing_fields", asJSON, `{}`, 400, []string{"id", missing, "pw", missing}},
		{"missing_password", asJSON, `{"id":"x"}`, 400, []string{"pw", missing}},
		{"missing_id", asForm, `pw=x`, 400, []string{"id", missing}},
		{"empty_fields", asJSON, `{"member_id":"","member_pwd":""}`, 400, []string{"member_id", missing, "member_pwd", missing}},
		{"wrong_types", asJSON, `{"id":["x"],"pw":{"$ne":""}}`, 400, []string{"id", "must be a string", "pw", "must be a string"}},
		{"nul", asJSON, `{"id":"\u0000","pw":"\u0000"}`, 400, []string{"id", "must not contain a NUL character", "pw", "must not contain a NUL character"}},
		{"broken_json", asJSON, `{"id"`, 400, nil},
		{"list", asJSON, `[{"id":"x","pw":"x"}]`, 400, nil},
		{"empty_body", asJSON, ``, 400, nil},
		{"longer_than_any_stored", asJSON, object(t, "id", "x", "pw", strings.Repeat("x", 4097)), 400, []string{"pw", "must be at most 4096 bytes"}},
		{"over_the_limit", asJSON, `{"pw":"` + strings.Repeat("x", 64<<10) + `"}`, 413, nil},
		{"text", "text/plain", `{"id":"x","pw":"x"}`, 415, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, s.Post(t, "/login/", test.contentType, test.body), test.status, test.fields...)
		})
	}
}

// stored returns values of a taken-over database, all for "pizza1234".
func stored() map[string]string {
	return map[string]string{
		"clear_text":     "pizza1234",
		"django":         "pbkdf2_sha256$1000$seasalt$VwPchW/KApnoyJv4aYCexIu29yWMuc+BDPFy72I7Js4=",
		"argon2id_light": "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$plMerz0GaAaIDuf+WEK2dQ4ByxoupKK4rbp39SRnT3U",
	}
}

func TestLoginWithAnOldPassword(t *testing.T) {
	t.Parallel()
	for name, value := range stored() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := migrationstest.New(t)
			conn := superuser(t, db)
			exec(t, conn, "INSERT INTO member VALUES ('old', $1, '옛 회원')", value)
			const read = "SELECT member_pwd FROM member WHERE member_id = 'old'"

			careful := startWith(t, db, patient("off"))
			careful.login(t, "old", "pizza1234")
			if got := query[string](t, conn, read); got != value {
				t.Errorf("PASSWORD_UPGRADE=off, and yet it was replaced by %q", got)
			}
			s := start(t, db)
			mustRefuse(t, s.tryLogin(t, "old", "pizza123"), http.StatusUnauthorized)
			if name != "clear_text" {
				mustRefuse(t, s.tryLogin(t, "old", value), http.StatusUnauthorized)
			}
			if got := query[string](t, conn, read); got != value {
				t.Errorf("a wrong password, and yet it was replaced by %q", got)
			}
			s.login(t, "old", "pizza1234")
			better := query[string](t, conn, read)
			if !strings.HasPrefix(better, "$argon2id$v=19$m=1024,t=2,p=1$") {
				t.Errorf("replaced by %q", better)
			}
			s.login(t, "old", "pizza1234")
			if got := query[string](t, conn, read); got != better {
				t.Error("replaced twice")
			}
			mustRefuse(t, s.tryLogin(t, "old", better), http.StatusUnauthorized)
			for _, secret := range []string{value, "pizza1234", better} {
				if strings.Contains(s.Log.String(), secret) {
					t.Errorf("the log tells %q", secret)
				}
			}
		})
	}
}

// As long as the old system logs members in, it can check new passwords.
func TestRegisterForTheOldSystem(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	conn := superuser(t, db)
	const read = "SELECT member_pwd FROM member WHERE member_id = 'minji'"
	careful := startWith(t, db, patient("off"))
	careful.register(t, "minji", "correct horse")
	careful.login(t, "minji", "correct horse")
	if got := query[string](t, conn, read); !strings.HasPrefix(got, "pbkdf2_sha256$600000$") {
		t.Errorf("stored as %q", got)
	}
	start(t, db).login(t, "minji", "correct horse")
	if got := query[string](t, conn, read); !strings.HasPrefix(got, "$argon2id$") {
		t.Errorf("PASSWORD_UPGRADE=on, and yet it is stored as %q", got)
	}
}

// The password was correct: a failed upgrade must not affect the member.
func TestLoginWhenThePasswordCannotBeUpgraded(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	conn := superuser(t, db)
	exec(t, conn, "INSERT INTO member VALUES ('old', 'pizza1234', 'x')")
	exec(t, conn, "REVOKE UPDATE ON member FROM login_svc")
	s := start(t, db)
	s.login(t, "old", "pizza1234")
	if got := query[string](t, conn, "SELECT member_pwd FROM member"); got != "pizza1234" {
		t.Errorf("replaced by %q", got)
	}
	if !strings.Contains(s.Log.String(), "cannot replace an outdated password hash") {
		t.Errorf("the log does not say so:\n%s", s.Log)
	}
}

func TestLoginWithAStoredValueThatIsNotRead(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	conn := superuser(t, db)
	s := start(t, db)
	for name, value := range map[string]string{
		"four_gibibytes": "$argon2id$v=19$m=4194304,t=9,p=1$c29tZXNhbHRzb21lc2FsdA$plMerz0GaAaIDuf+WEK2dQ4ByxoupKK4rbp39SRnT3U",
		"endless":        "pbkdf2_sha256$2147483647$seasalt$VwPchW/KApnoyJv4aYCexIu29yWMuc+BDPFy72I7Js4=",
		"bcrypt":         "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
		"unusable":       "!" + strings.Repeat("a", 40),
	} {
		exec(t, conn, "INSERT INTO member VALUES ($1, $2, 'x')", name, value)
		t.Run(name, func(t *testing.T) {
			for _, pw := range []string{"pizza1234", value} {
				mustRefuse(t, s.tryLogin(t, name, pw), http.StatusUnauthorized)
			}
			if !strings.Contains(s.Log.String(), `"member_id":"`+name+`"`) {
				t.Error("the log does not say who cannot log in")
			}
		})
	}
}
