package app_test

import (
	"net/http"
	"reflect"
	"testing"

	"golang.org/x/text/unicode/norm"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/login/api"
)

// Ids that look the same are the same member, however they are encoded.
func TestIDsThatLookTheSame(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	conn := superuser(t, db)
	const composed = "김é"
	decomposed := norm.NFD.String(composed)

	s.register(t, decomposed, "correct horse")
	if got := query[string](t, conn, "SELECT member_id FROM member"); got != composed {
		t.Errorf("kept as %+q", got)
	}
	for _, id := range []string{composed, decomposed} {
		mustRefuse(t, s.Post(t, "/login/register/", asJSON, object(t, "id", id, "pw", "another horse", "name", "x")), http.StatusConflict)
		raw := s.login(t, composed, "correct horse")
		s.login(t, id, "correct horse")
		s.revoke(t, asJSON, object(t, "member_id", id))
		s.mustBeRevoked(t, raw)
	}
	s.Post(t, "/login/register/", asJSON, object(t, "id", "name", "pw", "correct horse", "name", " "+norm.NFD.String("각")+"\u3000"))
	if got := query[string](t, conn, "SELECT member_nm FROM member WHERE member_id = 'name'"); got != "각" {
		t.Errorf("name %+q", got)
	}
}

// Ids of the old system stay valid as stored and, if decomposed, also composed.
// A newcomer cannot take an id that looks like one of them.
func TestExistingIDsStayReachable(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	conn := superuser(t, db)
	decomposed := norm.NFD.String("민지")
	invisible, blank := "de\u200bmo", " a\u00a0b "
	for _, id := range []string{decomposed, invisible, blank, "dеmo"} {
		if _, err := conn.Exec(t.Context(), "INSERT INTO member VALUES ($1, 'pizza-4-me', 'x')", id); err != nil {
			t.Fatal(err)
		}
	}
	for sent, stored := range map[string]string{
		decomposed: decomposed, "민지": decomposed, invisible: invisible, blank: blank, "dеmo": "dеmo",
	} {
		a := s.Post(t, "/login/", asJSON, object(t, "id", sent, "pw", "pizza-4-me"))
		if got := apitest.Decode[api.Session](t, a, http.StatusOK).MemberID; got != stored {
			t.Errorf("%+q is logged in as %+q", sent, got)
		}
	}
	mustRefuse(t, s.Post(t, "/login/", asJSON, `{"id":"demo","pw":"pizza-4-me"}`), http.StatusUnauthorized)
	mustRefuse(t, s.Post(t, "/login/register/", asJSON, `{"id":"민지","pw":"another horse","name":"x"}`), http.StatusConflict)
}

// Forms are parsed by the URL Standard: a password may contain a semicolon and
// a percent sign.
func TestPasswordsInForms(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	for form, password := range map[string]string{
		"id=a&name=x&pw=cheese;pizza9": "cheese;pizza9", "id=b&name=x&pw=100%of+it": "100%of it", "id=c&name=x&pw=oven%26fire%3Dheat%2B5%25": "oven&fire=heat+5%",
	} {
		if a := s.Post(t, "/login/register/", asForm, form); a.Status != http.StatusCreated {
			t.Errorf("%s: %d %s", form, a.Status, a.Body)
		}
		s.login(t, form[3:4], password)
	}
}

// The parameters of the document are text, and malformed ones are rejected by name.
func TestParameters(t *testing.T) {
	t.Parallel()
	apitest.Parameters(t, api.Document, reflect.TypeFor[api.StrictServerInterface]())
}
