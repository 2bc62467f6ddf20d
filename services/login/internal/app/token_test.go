package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/login/api"
)

func TestLogout(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	s.register(t, "minji", "correct horse")
	conn := superuser(t, db)
	want := api.LoggedOut{Status: "logged out", Message: "the token is no longer valid"}
	logout := func(t *testing.T, path string, header ...string) {
		t.Helper()
		if diff := cmp.Diff(want, apitest.Decode[api.LoggedOut](t, s.Get(t, path, header...), http.StatusOK)); diff != "" {
			t.Error(diff)
		}
	}
	const count = "SELECT count(*) FROM revoked_token"

	// Sequential, because the subtests count rows.
	t.Run("ok", func(t *testing.T) {
		raw, other := s.login(t, "minji", "correct horse"), s.login(t, "minji", "correct horse")
		logout(t, "/login/logout/", "Authorization", "Bearer "+raw)
		if got := apitest.Decode[api.RefusedToken](t, s.verify(t, raw), http.StatusUnauthorized); got.Reason != api.RefusalReasonRevoked {
			t.Errorf("reason %q", got.Reason)
		}
		apitest.Decode[api.GoodToken](t, s.verify(t, other), http.StatusOK) // the other session stays valid
		if got := query[string](t, conn, "SELECT member_id FROM revoked_token WHERE expires_at BETWEEN now() + '59 minutes' AND now() + '61 minutes'"); got != "minji" {
			t.Errorf("kept for %q", got)
		}
		for _, path := range []string{"/login/logout", "/api/login/logout/"} { // repeating is fine
			logout(t, path, "Authorization", "bearer "+raw)
		}
		if got := query[int](t, conn, count); got != 1 {
			t.Errorf("%d rows for one token", got)
		}
	})
	rows := query[int](t, conn, count)
	for name, header := range map[string][]string{
		"no_token":       nil,
		"empty_header":   {"Authorization", ""},
		"garbage":        {"Authorization", "Bearer garbage"},
		"other_scheme":   {"Authorization", "Basic dTpw"},
		"expired_token":  {"Authorization", "Bearer " + expired(t, "minji")},
		"foreign_token":  {"Authorization", "Bearer " + foreign(t, "minji")},
		"a_mad_long_one": {"Authorization", "Bearer " + strings.Repeat("x", 8000)},
	} {
		t.Run(name, func(t *testing.T) {
			logout(t, "/api/login/logout", header...)
			if got := query[int](t, conn, count); got != rows {
				t.Errorf("%d rows, want %d", got, rows)
			}
		})
	}
}

func TestVerifyToken(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	s.register(t, "김민지", "correct horse")
	good := s.login(t, "김민지", "correct horse")
	revoked := s.login(t, "김민지", "correct horse")
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+revoked)
	const path = "/int/auth/verify"
	bearer := func(raw string) []string { return []string{"Authorization", "Bearer " + raw} }
	inJSON := []string{"Content-Type", asJSON}

	for _, test := range []struct {
		name, body string
		header     []string
		status     int
		reason     api.RefusalReason
	}{
		{name: "ok", body: object(t, "token", good), header: inJSON, status: 200},
		{name: "ok_by_form", body: url.Values{"token": {good}}.Encode(), header: []string{"Content-Type", asForm}, status: 200},
		{name: "ok_by_header", header: bearer(good), status: 200},
		{name: "ok_by_header_beside_a_body_without_token", body: `{"other":1}`, header: append(bearer(good), inJSON...), status: 200},
		{name: "body_counts_before_header", body: object(t, "token", revoked), header: append(bearer(good), inJSON...), status: 401, reason: "revoked"},
		{name: "expired", body: object(t, "token", expired(t, "김민지")), header: inJSON, status: 401, reason: "expired"},
		{name: "expired_by_header", header: bearer(expired(t, "김민지")), status: 401, reason: "expired"},
		{name: "revoked", body: object(t, "token", revoked), header: inJSON, status: 401, reason: "revoked"},
		{name: "revoked_by_header", header: bearer(revoked), status: 401, reason: "revoked"},
		{name: "foreign_token", body: object(t, "token", foreign(t, "김민지")), header: inJSON, status: 401, reason: "invalid"},
		{name: "changed_token", body: object(t, "token", good[:len(good)-5]+"AAAAA"), header: inJSON, status: 401, reason: "invalid"},
		{name: "garbage", body: object(t, "token", "'; DROP TABLE member; --"), header: inJSON, status: 401, reason: "invalid"},
		{name: "a_mad_long_one", body: object(t, "token", strings.Repeat("x", 60000)), header: inJSON, status: 401, reason: "invalid"},
		{name: "no_token", status: 400},
		{name: "no_token_in_the_body", body: `{}`, header: inJSON, status: 400},
		{name: "empty_token", body: `{"token":""}`, header: inJSON, status: 400},
		{name: "other_scheme", header: []string{"Authorization", "Basic dTpw"}, status: 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := s.Call(t, http.MethodPost, path, test.body, test.header...)
			switch test.status {
			case http.StatusOK:
				if diff := cmp.Diff(api.GoodToken{Valid: true, MemberID: "김민지"}, apitest.Decode[api.GoodToken](t, a, 200)); diff != "" {
					t.Error(diff)
				}
			case http.StatusUnauthorized:
				if diff := cmp.Diff(api.RefusedToken{Valid: false, Reason: test.reason}, apitest.Decode[api.RefusedToken](t, a, 401)); diff != "" {
					t.Error(diff)
				}
				if got := a.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
					t.Errorf("WWW-Authenticate %s", got)
				}
			default:
				if got := strings.TrimSpace(string(a.Body)); a.Status != test.status || got != `{"valid":false}` {
					t.Errorf("%d %s", a.Status, got)
				}
			}
		})
	}
	for name, test := range map[string]struct {
		contentType, body string
		status            int
		fields            []string
	}{
		"broken_json":         {asJSON, `{"token":`, 400, nil},
		"list":                {asJSON, `["x"]`, 400, nil},
		"token_of_wrong_type": {asJSON, `{"token":7}`, 400, []string{"token", "must be a string"}},
		"nul":                 {asJSON, `{"token":"\u0000"}`, 400, []string{"token", "must not contain a NUL character"}},
		"over_the_limit":      {asJSON, `{"token":"` + strings.Repeat("x", 64<<10) + `"}`, 413, nil},
		"xml":                 {"text/xml", `<token/>`, 415, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, s.Post(t, path, test.contentType, test.body), test.status, test.fields...)
		})
	}
}

// A gateway sends GET and forwards X-User-Id.
func TestAuthorizeRequest(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	const path = "/int/auth/verify"
	for memberID, want := range map[string]string{
		"minji":         "minji",
		"kim.min-ji_7~": "kim.min-ji_7~",
		"kim@pizza.com": "kim@pizza.com",
		"김민지":           "%EA%B9%80%EB%AF%BC%EC%A7%80",
		"100%":          "100%25",
		"kim minji":     "kim%20minji",
		"a,b;c/d?e#f":   "a%2Cb%3Bc%2Fd%3Fe%23f",
		"a\r\nX-Evil:1": "a%0D%0AX-Evil:1", // cannot be registered, but a taken-over table may contain it
	} {
		t.Run("ok/"+memberID, func(t *testing.T) {
			t.Parallel()
			raw, err := keysAt(time.Now()).Issue(memberID, 0, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			a := s.Get(t, path, "Authorization", "Bearer "+raw)
			if got := apitest.Decode[api.GoodToken](t, a, http.StatusOK); got.MemberID != memberID {
				t.Errorf("member %q", got.MemberID)
			}
			got := a.Header.Get("X-User-Id")
			if got != want || a.Header.Get("X-Evil") != "" {
				t.Errorf("X-User-Id %q, want %q", got, want)
			}
			if back, err := url.PathUnescape(got); err != nil || back != memberID {
				t.Errorf("decoded as %q, %v", back, err)
			}
		})
	}
	for name, test := range map[string]struct {
		header []string
		reason api.RefusalReason
	}{
		"missing_authorization_header": {nil, "invalid"},
		"other_scheme":                 {[]string{"Authorization", "Basic dTpw"}, "invalid"},
		"believes_no_x_user_id":        {[]string{"X-User-Id", "minji"}, "invalid"},
		"garbage":                      {[]string{"Authorization", "Bearer garbage"}, "invalid"},
		"foreign_token":                {[]string{"Authorization", "Bearer " + foreign(t, "minji")}, "invalid"},
		"expired":                      {[]string{"Authorization", "Bearer " + expired(t, "minji")}, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.Get(t, path, test.header...)
			if diff := cmp.Diff(api.RefusedToken{Reason: test.reason}, apitest.Decode[api.RefusedToken](t, a, http.StatusUnauthorized)); diff != "" {
				t.Error(diff)
			}
			if a.Header.Get("X-User-Id") != "" {
				t.Error("X-User-Id of a refused token")
			}
		})
	}
}
