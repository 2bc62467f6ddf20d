package login_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/text"
	"example.com/pizza/services/login/internal/login"
)

// fields returns the bad fields of an error, as name and rule.
func fields(t *testing.T, err error) map[string]string {
	t.Helper()
	if err == nil {
		return nil
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Invalid {
		t.Fatalf("%v is not Invalid", err)
	}
	out := map[string]string{}
	for _, field := range f.Fields {
		if _, twice := out[field.Field]; twice {
			t.Errorf("%s has two entries", field.Field)
		}
		out[field.Field] = field.Message
	}
	return out
}

// policy returns the default policy.
func policy(tb testing.TB) *password.Policy {
	tb.Helper()
	p, err := password.NewPolicy(password.PolicyConfig{MinLength: password.MinLength})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestRegistrationRules(t *testing.T) {
	t.Parallel()
	const (
		empty   = "is required"
		long    = "must be at most 100 characters"
		ends    = "must not begin or end with a blank"
		control = "must not contain control characters"
	)
	type registration = login.Registration
	ok := registration{ID: "minji", Password: "correct horse", Name: "김민지"}
	id := func(id string) registration { r := ok; r.ID = id; return r }
	pw := func(pw string) registration { r := ok; r.Password = pw; return r }
	name := func(name string) registration { r := ok; r.Name = name; return r }
	for _, test := range []struct {
		name string
		in   registration
		want map[string]string
	}{
		{"ok", ok, nil},
		{"nothing", registration{}, map[string]string{"id": empty, "pw": empty, "name": empty}},
		{"all_bad", registration{ID: " ", Password: "x", Name: "\n"}, map[string]string{
			"id": ends, "pw": "must be at least 8 characters", "name": control,
		}},
		{"id_of_one_character", id("a"), nil},
		{"id_korean", id("김민지"), nil},
		{"id_blank_inside", id("kim minji"), nil},
		{"id_of_100_characters", id(strings.Repeat("피", 100)), nil},
		{"id_of_101_characters", id(strings.Repeat("피", 101)), map[string]string{"id": long}},
		{"id_leading_blank", id(" minji"), map[string]string{"id": ends}},
		{"id_trailing_blank", id("minji "), map[string]string{"id": ends}},
		{"id_trailing_wide_blank", id("minji\u3000"), map[string]string{"id": ends}},
		{"id_trailing_no_break_space", id("minji\u00a0"), map[string]string{"id": ends}},
		{"id_line_end_inside", id("min\nji"), map[string]string{"id": control}},
		{"id_tab_inside", id("min\tji"), map[string]string{"id": control}},
		{"id_escape_inside", id("min\x1b[31mji"), map[string]string{"id": control}},
		{"id_delete_inside", id("min\x7fji"), map[string]string{"id": control}},
		{"id_c1_inside", id("min\u0085ji"), map[string]string{"id": control}},
		{"id_zero_width_space", id("de\u200bmo"), map[string]string{"id": "must not contain U+200B, which cannot be seen"}},
		{"id_turned_around", id("\u202eomed"), map[string]string{"id": "must not contain U+202E, which cannot be seen"}},
		{"id_cyrillic_in_latin", id("d\u0435mo"), map[string]string{"id": "must not mix Cyrillic and Latin letters, which look alike"}},
		{"id_of_100_characters_decomposed", id(norm.NFD.String(strings.Repeat("각", 100))), nil},
		{"id_of_many_bytes", id(strings.Repeat("\ufdfa", 20_000)), map[string]string{"id": long}},
		{"id_sql_is_text", id(`'; DROP TABLE member; --`), nil},
		{"pw_of_7_characters", pw("1234567"), map[string]string{"pw": "must be at least 8 characters"}},
		{"pw_of_7_characters_many_bytes", pw("비밀번호비밀번"), map[string]string{"pw": "must be at least 8 characters"}},
		{"pw_of_8_characters", pw("떡볶이먹고싶다!"), nil},
		{"pw_blanks_count", pw("  ax  by "), nil},
		{"pw_of_128_characters", pw(strings.Repeat("🍕🍺🧀🍅", 2) + strings.Repeat("🌶🍄🫒", 40)), nil},
		{"pw_too_easy", pw("aaaaaaab"), map[string]string{"pw": "is too easy to guess: it repeats, counts up, or is little more than a common word or the id"}},
		{"pw_of_60_kb", pw(strings.Repeat("\ufdfa", 20000)), map[string]string{"pw": "must be at most 128 characters"}},
		{"pw_common", pw("Password1"), map[string]string{"pw": "is one of the most common passwords"}},
		{"pw_is_the_id", registration{ID: "kim-minji", Password: "Kim-Minji", Name: "x"}, map[string]string{"pw": "must not be the id"}},
		{"pw_of_129_characters_after_nfkc", pw(strings.Repeat("\ufdfa", 8)), map[string]string{"pw": "must be at most 128 characters"}},
		{"pw_of_many_bytes", pw(strings.Repeat("\ufdfa", 20_000)), map[string]string{"pw": "must be at most 128 characters"}},
		{"pw_of_129_characters", pw(strings.Repeat("x", 129)), map[string]string{"pw": "must be at most 128 characters"}},
		{"name_of_100_characters", name(strings.Repeat("이", 100)), nil},
		{"name_of_101_characters", name(strings.Repeat("이", 101)), map[string]string{"name": long}},
		{"name_trailing_blank", name("Kim "), nil},
		{"name_blank", name(" \u3000"), map[string]string{"name": "must not be blank"}},
		{"name_invisible", name("\u3164\u3164"), map[string]string{"name": "must not contain U+3164, which cannot be seen"}},
		{"name_turned_around", name("Kim\u202e"), map[string]string{"name": "must not contain U+202E, which cannot be seen"}},
		{"name_with_an_emoji", name("민지❤\ufe0f"), nil},
		{"name_line_end", name("Kim\r\nMinji"), map[string]string{"name": control}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, fields(t, test.in.Validate(policy(t)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPasswordChangeRules(t *testing.T) {
	t.Parallel()
	type change = login.PasswordChange
	for _, test := range []struct {
		name string
		in   change
		want map[string]string
	}{
		{"ok", change{"correct horse", "battery staple"}, nil},
		{"old_may_be_anything", change{"x", "battery staple"}, nil},
		{"nothing", change{}, map[string]string{"old_pw": "is required", "new_pw": "is required"}},
		{"same", change{"correct horse", "correct horse"}, map[string]string{"new_pw": "must differ from the old password"}},
		{"same_from_another_keyboard", change{"correct horsé", "correct horse\u0301"}, map[string]string{"new_pw": "must differ from the old password"}},
		{"other_case_differs", change{"correct horse", "Correct horse"}, nil},
		{"short", change{"correct horse", "horse"}, map[string]string{"new_pw": "must be at least 8 characters"}},
		{"common", change{"correct horse", "qwerty123"}, map[string]string{"new_pw": "is one of the most common passwords"}},
		{"old_of_many_bytes", change{strings.Repeat("\ufdfa", 20_000), "battery staple"}, map[string]string{"old_pw": "must be at most 4096 bytes"}},
		{"id", change{"correct horse", "Kim-Minji"}, map[string]string{"new_pw": "must not be the id"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, fields(t, test.in.Validate(policy(t), "kim-minji"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCredentialsRules(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		in   login.Credentials
		want map[string]string
	}{
		"ok":                      {login.Credentials{ID: "minji", Password: "x"}, nil},
		"what_is_stored":          {login.Credentials{ID: " old\tid ", Password: strings.Repeat("x", 1000)}, nil},
		"nothing":                 {login.Credentials{}, map[string]string{"id": "is required", "pw": "is required"}},
		"no_password":             {login.Credentials{ID: "minji"}, map[string]string{"pw": "is required"}},
		"no_id":                   {login.Credentials{Password: "x"}, map[string]string{"id": "is required"}},
		"what_could_not_register": {login.Credentials{ID: "de\u200bmo\u202e", Password: strings.Repeat("\ufdfa", 1000)}, nil},
		"as_long_as_can_be":       {login.Credentials{ID: "minji", Password: strings.Repeat("x", 4096)}, nil},
		"longer_than_can_be":      {login.Credentials{ID: "minji", Password: strings.Repeat("x", 4097)}, map[string]string{"pw": "must be at most 4096 bytes"}},
		"blank_is_not_none":       {login.Credentials{ID: " ", Password: " "}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, fields(t, test.in.Validate())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Any input that passes the rules fits the table.
func FuzzRegistration(f *testing.F) {
	f.Add("minji", "correct horse", "김민지")
	f.Add("", "", "")
	f.Add(" ", "\x00", "\u2028")
	f.Add(strings.Repeat("피", 101), strings.Repeat("x", 129), "\x7f")
	p := policy(f)
	f.Fuzz(func(t *testing.T, id, pw, name string) {
		r := login.Registration{ID: id, Password: pw, Name: name}
		if bad := fields(t, r.Validate(p)); len(bad) > 0 {
			return
		}
		for _, s := range []string{text.Normal(id), text.Normal(name)} {
			if n := len([]rune(s)); n < 1 || n > 100 || strings.ContainsAny(s, "\x00\n\r\t") {
				t.Errorf("%q is accepted", s)
			}
		}
		if n := len([]rune(password.Normal(pw))); n < 8 || n > 128 {
			t.Errorf("a password of %d characters is accepted", n)
		}
	})
}
