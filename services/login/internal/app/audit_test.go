package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/audittest"
)

// The audit log contains exactly the actions of members, operators and
// strangers, in order.
func TestAudit(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	s.register(t, "minji", "correct horse")
	s.register(t, "legacy", "correct horse")
	exec(t, superuser(t, db), "UPDATE member SET member_pwd = 'bcrypt$$2b$12$x' WHERE member_id = 'legacy'")
	mustRefuse(t, s.Post(t, "/login/register/", asJSON, object(t, "id", "minji", "pw", "battery staple", "name", "x")), http.StatusConflict)

	raw := s.login(t, "minji", "correct horse")
	claims, err := keysAt(time.Now()).Verify(raw)
	if err != nil {
		t.Fatal(err)
	}
	mustRefuse(t, s.tryLogin(t, "minji", "battery staple"), http.StatusUnauthorized)
	mustRefuse(t, s.tryLogin(t, "a password typed as the id", "x"), http.StatusUnauthorized)
	mustRefuse(t, s.tryLogin(t, "legacy", "correct horse"), http.StatusUnauthorized)
	mustRefuse(t, s.tryLogin(t, "minji", ""), http.StatusBadRequest, "pw", "is required")

	bearer := []string{"Authorization", "Bearer " + raw}
	change := object(t, "old_pw", "not the password", "new_pw", "battery staple")
	mustRefuse(t, s.Post(t, "/login/password/", asJSON, change, bearer...), http.StatusBadRequest, "old_pw", "is not the member's password")
	s.Get(t, "/login/logout/", bearer...)
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+foreign(t, "minji")) // ends nothing
	again := s.login(t, "minji", "correct horse")
	change = object(t, "old_pw", "correct horse", "new_pw", "battery staple")
	if a := s.Post(t, "/login/password/", asJSON, change, "Authorization", "Bearer "+again); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	s.revoke(t, asJSON, `{"member_id":"minji"}`)
	s.Post(t, "/int/auth/revoke/", asJSON, `{"member_id":"minji"}`, "Authorization", "Bearer "+raw)

	type line = audittest.Line
	registered := func(id string) line {
		return line{"event": "member_registered", "outcome": "success", "actor": "anonymous", "member_id": id}
	}
	failed := func(id, reason string) line {
		return line{"event": "login_failed", "outcome": "failure", "actor": "anonymous", "member_id": id, "reason": reason}
	}
	succeeded := line{"event": "login_succeeded", "outcome": "success", "actor": "member", "member_id": "minji"}
	audittest.Expect(t, s.Log.String(),
		registered("minji"), registered("legacy"), succeeded,
		failed("minji", "wrong_password"), failed("", "unknown_id"), failed("legacy", "wrong_password"),
		line{"event": "password_change_failed", "outcome": "failure", "actor": "member", "member_id": "minji", "reason": "wrong_password"},
		line{"event": "token_revoked", "outcome": "success", "actor": "member", "member_id": "minji", "token_id": claims.ID},
		succeeded,
		line{"event": "password_changed", "outcome": "success", "actor": "member", "member_id": "minji"},
		line{"event": "member_tokens_revoked", "outcome": "success", "actor": "operator", "member_id": "minji"},
		line{"event": "operator_refused", "outcome": "failure", "actor": "anonymous", "method": "POST", "route": "/int/auth/revoke"},
	)
	if strings.Contains(s.Log.String(), "typed as the id") {
		t.Errorf("the log has what was typed as an id:\n%s", s.Log)
	}
}
