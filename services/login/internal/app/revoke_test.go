package app_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/events"
	eventspg "example.com/pizza/pkg/events/postgres"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/services/login/api"
)

func (s *service) revoke(t *testing.T, contentType, body string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/int/auth/revoke", contentType, body, "Authorization", "Bearer "+adminToken)
}

// mustBeRevoked checks that a token is revoked.
func (s *service) mustBeRevoked(t *testing.T, raw string) {
	t.Helper()
	if got := apitest.Decode[api.RefusedToken](t, s.verify(t, raw), http.StatusUnauthorized); got.Reason != api.RefusalReasonRevoked {
		t.Errorf("reason %q", got.Reason)
	}
}

// An operator ends every session of one member, on every replica, and no
// others; the member can log in again at once.
func TestRevokeMember(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s, replica := start(t, db), start(t, db)
	s.register(t, "minji", "correct horse")
	s.register(t, "mina", "correct horse")
	other := s.login(t, "mina", "correct horse")
	for _, test := range []struct{ name, contentType, body string }{
		{"json", asJSON, `{"member_id":"minji"}`},
		{"again", asJSON, `{"member_id":"minji"}`},
		{"form", asForm, `member_id=minji`},
	} {
		stolen, own := replica.login(t, "minji", "correct horse"), s.login(t, "minji", "correct horse")
		want := api.Revoked{MemberID: "minji", Message: "no token of the member is valid any more"}
		if diff := cmp.Diff(want, apitest.Decode[api.Revoked](t, s.revoke(t, test.contentType, test.body), http.StatusOK)); diff != "" {
			t.Error(diff)
		}
		for _, raw := range []string{stolen, own} {
			s.mustBeRevoked(t, raw)
			replica.mustBeRevoked(t, raw)
		}
		apitest.Decode[api.GoodToken](t, s.verify(t, replica.login(t, "minji", "correct horse")), http.StatusOK)
		apitest.Decode[api.GoodToken](t, replica.verify(t, s.login(t, "minji", "correct horse")), http.StatusOK)
	}
	apitest.Decode[api.GoodToken](t, s.verify(t, other), http.StatusOK)
	apitest.Decode[api.Revoked](t, s.revoke(t, asJSON, `{"member_id":"nobody"}`), http.StatusOK)
}

// A deleted member, regardless of who deleted it, has no session left on any
// replica. Nobody else gets its id, because a newcomer would see its orders.
func TestDeletedMember(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s, replica := start(t, db), start(t, db)
	s.register(t, "minji", "correct horse")
	s.register(t, "mina", "correct horse")
	gone, other := s.login(t, "minji", "correct horse"), s.login(t, "mina", "correct horse")
	exec(t, superuser(t, db), "DELETE FROM member WHERE member_id = 'minji'")
	s.mustBeRevoked(t, gone)
	replica.mustBeRevoked(t, gone)
	apitest.Decode[api.GoodToken](t, replica.verify(t, other), http.StatusOK)
	mustRefuse(t, s.Post(t, "/login/register/", asJSON, `{"id":"minji","pw":"battery staple","name":"Eve"}`), http.StatusConflict)
	replica.mustBeRevoked(t, gone)
}

// HEAD is a safe method (RFC 9110, section 9.2.1): a link checker that sends
// HEAD to logout ends no session.
func TestHeadRevokesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	s.register(t, "minji", "correct horse")
	token := s.login(t, "minji", "correct horse")
	for _, path := range []string{"/login/logout/", "/login/logout", "/api/login/logout/", "/api/login/logout"} {
		if a := s.Call(t, http.MethodHead, path, "", "Authorization", "Bearer "+token); a.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	apitest.Decode[api.GoodToken](t, s.verify(t, token), http.StatusOK)
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+token)
	s.mustBeRevoked(t, token)
}

// A login that replaces an old hash ends no session. A password that support
// changes by SQL ends all sessions, and the new one logs in.
func TestPasswordChangedBySQL(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s, replica, conn := start(t, db), start(t, db), superuser(t, db)
	for id, value := range stored() {
		exec(t, conn, "INSERT INTO member VALUES ($1, $2, 'x')", id, value)
		before, err := keysAt(time.Now()).Issue(id, 0, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		rehashed := s.login(t, id, "pizza1234")
		if now := query[string](t, conn, "SELECT member_pwd FROM member WHERE member_id = '"+id+"'"); now == value && !strings.HasPrefix(value, "$argon2id$") {
			t.Errorf("%s: the old form stays", id)
		}
		for _, raw := range []string{before, rehashed} {
			apitest.Decode[api.GoodToken](t, replica.verify(t, raw), http.StatusOK)
		}
		exec(t, conn, "UPDATE member SET member_pwd = 'a temporary one' WHERE member_id = $1", id)
		for _, raw := range []string{before, rehashed} {
			replica.mustBeRevoked(t, raw)
		}
		apitest.Decode[api.GoodToken](t, replica.verify(t, s.login(t, id, "a temporary one")), http.StatusOK)
		apitest.Decode[api.GoodToken](t, replica.verify(t, s.login(t, id, "a temporary one")), http.StatusOK) // it is a hash by now
	}
}

func TestRevokeMemberRefuses(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	for name, test := range map[string]struct {
		authorization, body string
		status              int
		fields              []string
	}{
		"no_credential":     {"", `{"member_id":"minji"}`, 401, nil},
		"token_of_a_member": {"Bearer " + expired(t, "minji"), `{"member_id":"minji"}`, 401, nil},
		"wrong_credential":  {"Bearer " + adminToken + "x", `{"member_id":"minji"}`, 401, nil},
		"credential_first":  {"", `{}`, 401, nil},
		"no_member":         {"Bearer " + adminToken, `{}`, 400, []string{"member_id", "is required"}},
		"empty_member":      {"Bearer " + adminToken, `{"member_id":""}`, 400, []string{"member_id", "is required"}},
		"id_too_long":       {"Bearer " + adminToken, object(t, "member_id", strings.Repeat("a", 101)), 400, []string{"member_id", "must be at most 100 characters"}},
		"nul":               {"Bearer " + adminToken, `{"member_id":"\u0000"}`, 400, []string{"member_id", "must not contain a NUL character"}},
		"member_of_no_text": {"Bearer " + adminToken, `{"member_id":["minji"]}`, 400, []string{"member_id", "must be a string"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustRefuse(t, s.Post(t, "/int/auth/revoke", asJSON, test.body, "Authorization", test.authorization), test.status, test.fields...)
		})
	}
}

// A logout applies to every replica, even one that starts later.
func TestLogoutOnEveryReplica(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s, replica := start(t, db), start(t, db)
	s.register(t, "minji", "correct horse")
	raw, other := s.login(t, "minji", "correct horse"), s.login(t, "minji", "correct horse")
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+raw)
	replica.mustBeRevoked(t, raw)
	late := start(t, db)
	apitest.Decode[api.RefusedToken](t, late.verify(t, raw), http.StatusUnauthorized)
	apitest.Decode[api.GoodToken](t, late.verify(t, other), http.StatusOK)
}

// Logins run concurrently with password changes: each token is valid exactly as
// long as the password it was issued for, regardless of the replicas' clocks.
func TestTokensLiveAsLongAsTheirPassword(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s, replica := start(t, db), start(t, db)
	s.register(t, "minji", "correct horse 0")
	password := func(round int) string { return "correct horse " + string(rune('0'+round)) }
	const rounds = 3
	var mu sync.Mutex
	tokens := map[string]int{} // the round of the password each was issued for
	for round := range rounds {
		raw := s.login(t, "minji", password(round))
		var logins sync.WaitGroup
		for range 4 {
			logins.Go(func() {
				a := replica.tryLogin(t, "minji", password(round))
				if a.Status == http.StatusUnauthorized {
					return // after the change
				}
				token := apitest.Decode[api.Session](t, a, http.StatusOK).Token
				mu.Lock()
				defer mu.Unlock()
				tokens[token] = round
			})
		}
		body := object(t, "old_pw", password(round), "new_pw", password(round+1))
		changed := apitest.Decode[api.PasswordChanged](t, s.changePassword(t, raw, asJSON, body), http.StatusOK)
		logins.Wait()
		tokens[changed.Token] = round + 1
	}
	for raw, round := range tokens {
		want := http.StatusUnauthorized
		if round == rounds {
			want = http.StatusOK
		}
		if got := s.verify(t, raw).Status; got != want {
			t.Errorf("a token of password %d after %d changes: %d", round, rounds, got)
		}
	}
}

// TestRevocationsArePublished reads the documented events from the real
// transport, for a logout and for the revocation of all tokens of a member.
func TestRevocationsArePublished(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	messages := apitest.NewMessages(t, api.Events)
	s := start(t, db)
	pool, err := pgxpool.New(context.Background(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	from := eventspg.New(pool, eventstest.Config(), slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
	got := eventstest.Collect(t, from, "token.revoked")
	s.register(t, "minji", "correct horse")
	s.Get(t, "/login/logout/", "Authorization", "Bearer "+s.login(t, "minji", "correct horse"))
	s.revoke(t, asJSON, `{"member_id":"minji"}`)
	var kinds []string
	for range 2 {
		e := <-got
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := messages.Check("token.revoked", body); err != nil {
			t.Errorf("%v\n%s", err, body)
		}
		var data struct{ Jti string }
		if err := json.Unmarshal(e.Data, &data); err != nil || e.Subject != "minji" {
			t.Errorf("of %q, %v: %s", e.Subject, err, e.Data)
		}
		kinds = append(kinds, map[bool]string{true: "member", false: "token"}[data.Jti == ""])
	}
	if diff := cmp.Diff([]string{"token", "member"}, kinds); diff != "" {
		t.Error(diff)
	}
}
