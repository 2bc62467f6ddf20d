package logtest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"example.com/pizza/pkg/testkit/logtest"
)

const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJtZW1iZXJfaWQiOiJtaW5qaSJ9.c2lnbmF0dXJl"

// Each deliberate leak is found, without false positives.
func TestLeaks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		log   string
		leaks int
	}{
		"nothing":           {`{"msg":"request","member_id":"minji"}`, 0},
		"token":             {`{"msg":"got ` + jwt + `"}`, 1},
		"token_unsigned":    {`{"msg":"` + jwt[:strings.LastIndex(jwt, ".")+1] + `"}`, 1},
		"argon2id":          {`{"stored":"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA"}`, 1},
		"django":            {`{"stored":"pbkdf2_sha256$600000$salt$hash"}`, 1},
		"dsn":               {`{"error":"cannot connect to postgres://order_svc:hunter22@db/pizza"}`, 1},
		"redis_address":     {`{"error":"redis://:hunter22@cache:6379"}`, 1},
		"dsn_of_settings":   {`{"error":"host=db user=order_svc password=hunter22"}`, 1},
		"credential":        {`{"authorization":"Bearer 0123456789abcdefghij"}`, 1},
		"by_value":          {`{"body":"correct horse"}`, 1},
		"by_value_in_json":  {`{"body":"say \"friend\""}`, 1},
		"by_value_in_form":  {`{"body":"id=minji&pw=correct+horse"}`, 1},
		"by_value_in_path":  {`{"path":"/login/correct%20horse"}`, 1},
		"two_lines":         {`{"body":"correct horse"}` + "\n" + `{"body":"correct horse"}`, 2},
		"addresses":         {`{"public":"127.0.0.1:8000","url":"http://menu:9000/int","mail":"kim@pizza.com"}`, 0},
		"words":             {`{"detail":"a Bearer token is required","route":"/login/password/"}`, 0},
		"blanked":           {`{"error":"postgres://order_svc@db/pizza password=xxxxx"}`, 0},
		"short_secret":      {`{"msg":"abc"}`, 0},
		"name_of_the_thing": {`{"event":"password_changed","signing_kid":"q1w2e3r4"}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := logtest.Leaks(test.log, "correct horse", `say "friend"`, "abc", ""); len(got) != test.leaks {
				t.Errorf("%d leaks: %q", len(got), got)
			}
		})
	}
}

// failing counts the failures of a test that is expected to fail.
type failing struct {
	testing.TB
	ends   []func()
	errors int
}

func (f *failing) Helper()          {}
func (f *failing) Cleanup(c func()) { f.ends = append(f.ends, c) }
func (f *failing) Error(...any)     { f.errors++ }
func (f *failing) Failed() bool     { return f.errors > 0 }

// A test whose service logs a secret fails, even if the test does not read the log.
// The default log level of operators hides no leak.
func TestRecorderFailsTheTest(t *testing.T) {
	t.Parallel()
	header := http.Header{"Authorization": {"Bearer an-opaque-credential"}}
	for name, test := range map[string]struct {
		said string
		want int
	}{
		"configured":    {"a-secret-of-the-configuration", 1},
		"in_json":       {"correct horse", 1},
		"in_form":       {"battery staple", 1},
		"in_a_header":   {"an-opaque-credential", 1},
		"wrapped_error": {errors.Join(errors.New("open"), errors.New("postgres://x:hunter22@db/")).Error(), 1},
		"id":            {"Kim-Minji", 0},
		"nothing":       {"a member has logged in", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &failing{TB: t}
			r := logtest.New(f, "a-secret-of-the-configuration")
			r.LearnRequest(header, `{"id":"minji","pw":"correct horse"}`)
			r.LearnRequest(nil, `id=mina&new_pw=battery+staple`)
			r.LearnRequest(nil, `{"id":"kim-minji","pw":"Kim-Minji"}`)
			r.LearnRequest(nil, `{"id":`)
			r.Logger("oven").DebugContext(t.Context(), "heard", "what", test.said)
			for _, end := range f.ends {
				end()
			}
			if f.errors != test.want {
				t.Errorf("%d errors, want %d: %s", f.errors, test.want, r)
			}
		})
	}
}
