package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/login/api"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)

	t.Run("ok", func(t *testing.T) {
		t.Parallel()
		a := s.Post(t, "/login/register/", asJSON, `{"id":"minji","pw":"correct horse","name":"김민지"}`)
		want := api.Registered{MemberID: "minji", Message: "the member is registered"}
		if diff := cmp.Diff(want, apitest.Decode[api.Registered](t, a, http.StatusCreated)); diff != "" {
			t.Error(diff)
		}
		conn := superuser(t, db)
		if got := query[string](t, conn, "SELECT member_nm FROM member WHERE member_id = 'minji'"); got != "김민지" {
			t.Errorf("stored name %q", got)
		}
		if got := query[string](t, conn, "SELECT member_pwd FROM member WHERE member_id = 'minji'"); !strings.HasPrefix(got, "$argon2id$") {
			t.Errorf("stored password %q", got)
		}
		if strings.Contains(s.Log.String(), "correct horse") {
			t.Error("the log tells the password")
		}
	})

	for _, test := range []struct{ name, path, contentType, body, id string }{
		{"names_of_the_answers", "/api/login/register", asJSON, `{"member_id":"a","password":"correct horse","member_nm":"x"}`, "a"},
		{"names_of_the_table", "/login/register", asJSON, `{"member_id":"b","member_pwd":"correct horse","member_nm":"x"}`, "b"},
		{"form", "/api/login/register/", asForm, `id=%EA%B0%80&pw=correct+horse&name=x+y`, "가"},
		{"no_content_type_is_json", "/login/register/", "", `{"id":"d","pw":"correct horse","name":"x"}`, "d"},
		{"unknown_fields_are_ignored", "/login/register/", asJSON, `{"id":"e","pw":"correct horse","name":"x","admin":true,"X":{"y":[1]}}`, "e"},
		{"charset", "/login/register/", asJSON + "; charset=utf-8", `{"id":"f","pw":"correct horse","name":"x"}`, "f"},
		{"longest_of_all", "/login/register/", asJSON, object(t, "id", strings.Repeat("🍕", 100), "pw", strings.Repeat("떡볶이먹고싶다!", 2)+strings.Repeat("맛있는 피자 한판", 12)+"콜라!", "name", strings.Repeat("이", 100)), strings.Repeat("🍕", 100)},
		{"sql_is_text", "/login/register/", asJSON, object(t, "id", "'; DROP TABLE member; --", "pw", "' OR '1'='1", "name", `"\{}[]<>&%s$1`), "'; DROP TABLE member; --"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := s.Post(t, test.path, test.contentType, test.body)
			if got := apitest.Decode[api.Registered](t, a, http.StatusCreated).MemberID; got != test.id {
				t.Errorf("registered as %q, want %q", got, test.id)
			}
		})
	}

	t.Run("id_taken", func(t *testing.T) {
		t.Parallel()
		s.register(t, "first", "correct horse")
		a := s.Post(t, "/login/register/", asJSON, `{"id":"first","pw":"another horse","name":"Second"}`)
		if p := mustRefuse(t, a, http.StatusConflict); p.Detail != "the id is taken" {
			t.Errorf("detail %q", p.Detail)
		}
		s.login(t, "first", "correct horse") // nothing has changed
	})
	t.Run("ids_differ_by_case", func(t *testing.T) {
		t.Parallel()
		s.register(t, "case", "correct horse")
		s.register(t, "Case", "another horse")
		s.login(t, "Case", "another horse")
	})
}

// Of many concurrent registrations of one id, one succeeds.
func TestRegisterAtTheSameMoment(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	const many = 8
	type result struct {
		name   string
		status int
		err    error
	}
	results := make(chan result, many)
	for i := range many {
		name := strings.Repeat("x", i+1)
		body := object(t, "id", "wanted", "pw", "correct horse", "name", name)
		go func() {
			a, err := s.Send(t.Context(), http.MethodPost, "/login/register/", body, "Content-Type", asJSON)
			results <- result{name, a.Status, err}
		}()
	}
	var winners []string
	for range many {
		switch r := <-results; {
		case r.err != nil:
			t.Error(r.err)
		case r.status == http.StatusCreated:
			winners = append(winners, r.name)
		case r.status != http.StatusConflict:
			t.Errorf("status %d", r.status)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d got the id", len(winners))
	}
	if got := query[string](t, superuser(t, db), "SELECT member_nm FROM member WHERE member_id = 'wanted'"); got != winners[0] {
		t.Errorf("stored is %q, who was told so is %q", got, winners[0])
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	s := start(t, db)
	const missing = "is required"
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		fields                  []string
	}{
		{"missing_fields", asJSON, `{}`, 400, []string{"id", missing, "pw", missing, "name", missing}},
		{"missing_id", asJSON, `{"pw":"correct horse","name":"x"}`, 400, []string{"id", missing}},
		{"missing_password", asJSON, `{"id":"x","name":"x"}`, 400, []string{"pw", missing}},
		{"missing_name", asJSON, `{"id":"x","pw":"correct horse"}`, 400, []string{"name", missing}},
		{"missing_fields_of_a_form", asForm, `id=x`, 400, []string{"pw", missing, "name", missing}},
		{"null_fields", asJSON, `{"id":null,"pw":null,"name":null}`, 400, []string{"id", missing, "pw", missing, "name", missing}},
		{"empty_fields", asJSON, `{"member_id":"","password":"","member_nm":""}`, 400, []string{"member_id", missing, "password", missing, "member_nm", missing}},
		{"every_bad_field_as_it_was_sent", asJSON, object(t, "member_id", " x", "member_pwd", "short", "member_nm", strings.Repeat("이", 101)), 400, []string{
			"member_id", "must not begin or end with a blank", "member_pwd", "must be at least 8 characters", "member_nm", "must be at most 100 characters",
		}},
		{"id_of_101_characters", asJSON, object(t, "id", strings.Repeat("피", 101), "pw", "correct horse", "name", "x"), 400, []string{"id", "must be at most 100 characters"}},
		{"password_of_129_characters", asJSON, object(t, "id", "x", "pw", strings.Repeat("pq", 64)+"p", "name", "x"), 400, []string{"pw", "must be at most 128 characters"}},
		{"common_password", asForm, `id=x&password=P%40ssw0rd1!&name=x`, 400, []string{"password", "is one of the most common passwords"}},
		{"password_is_the_id", asJSON, `{"id":"kim-minji","pw":"KIM-MINJI","name":"x"}`, 400, []string{"pw", "must not be the id"}},
		{"control_characters", asJSON, `{"id":"a\nb","pw":"correct horse","name":"a\u0007b"}`, 400, []string{
			"id", "must not contain control characters", "name", "must not contain control characters",
		}},
		{"nul", asJSON, `{"id":"a\u0000","pw":"correct\u0000horse","name":"\u0000"}`, 400, []string{
			"id", "must not contain a NUL character", "pw", "must not contain a NUL character", "name", "must not contain a NUL character",
		}},
		{"nul_in_a_form", asForm, `id=%00&pw=correct+horse&name=x`, 400, []string{"id", "must not contain a NUL character"}},
		{"wrong_types", asJSON, `{"id":1,"pw":["correct horse"],"name":{"first":"x"}}`, 400, []string{
			"id", "must be a string", "pw", "must be a string", "name", "must be a string",
		}},
		{"wrong_type_hides_no_missing_field", asJSON, `{"member_id":1}`, 400, []string{"member_id", "must be a string", "pw", missing, "name", missing}},
		{"field_twice_in_a_form", asForm, `id=a&id=b&pw=correct+horse&name=x`, 400, []string{"id", "must be given once"}},
		{"broken_json", asJSON, `{"id":"x",`, 400, nil},
		{"trailing_text", asJSON, `{"id":"x","pw":"correct horse","name":"x"}}`, 400, nil},
		{"empty_body", asJSON, ``, 400, nil},
		{"list", asJSON, `["x"]`, 400, nil},
		{"null", asJSON, `null`, 400, nil},
		{"text", asJSON, `"x"`, 400, nil},
		{"number", asJSON, `1e999`, 400, nil},
		{"invalid_utf8", asJSON, "{\"id\":\"\xff\",\"pw\":\"correct horse\",\"name\":\"x\"}", 400, []string{"id", "must be UTF-8"}},
		{"invalid_utf8_in_a_form", asForm, `id=%ff&pw=correct+horse&name=x`, 400, []string{"id", "must be UTF-8"}},
		{"half_of_a_surrogate_pair", asJSON, `{"id":"sur\ud800x","pw":"correct\udc00horse","name":"x"}`, 400, []string{
			"id", "must not contain half of a surrogate pair", "pw", "must not contain half of a surrogate pair",
		}},
		{"field_twice", asJSON, `{"id":"a","id":"b","pw":"correct horse","name":"x"}`, 400, []string{"id", "must be given once"}},
		{"two_names_of_one_field", asJSON, `{"id":"a","member_id":"b","pw":"correct horse","name":"x"}`, 400, []string{"member_id", "must not differ from id, which is the same field"}},
		{"percent_in_a_form", asForm, `id=%zz`, 400, []string{"pw", missing, "name", missing}},
		{"invisible", asJSON, object(t, "id", "de\u200bmo", "pw", "correct horse", "name", "\u3164"), 400, []string{
			"id", "must not contain U+200B, which cannot be seen", "name", "must not contain U+3164, which cannot be seen",
		}},
		{"over_the_limit", asJSON, `{"id":"` + strings.Repeat("x", 64<<10) + `"}`, 413, nil},
		{"form_over_the_limit", asForm, `id=` + strings.Repeat("x", 64<<10), 413, nil},
		{"xml", "application/xml", `<id>x</id>`, 415, nil},
		{"multipart", "multipart/form-data; boundary=x", "--x--", 415, nil},
		{"no_media_type", ";;", `{}`, 415, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := mustRefuse(t, s.Post(t, "/login/register/", test.contentType, test.body), test.status, test.fields...)
			if p.Detail == "" || p.Error != p.Detail || p.TraceID == "" {
				t.Errorf("problem %+v", p)
			}
		})
	}
	if rows := query[int](t, superuser(t, db), "SELECT count(*) FROM member"); rows != 0 {
		t.Errorf("%d rows were written", rows)
	}
	if strings.Contains(s.Log.String(), `"level":"ERROR"`) {
		t.Errorf("bad input is logged as a defect of ours:\n%s", s.Log)
	}
}
