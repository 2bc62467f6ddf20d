package pgurl_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgtest"
)

// passwords returns examples of each kind, by kind.
func passwords() map[string]string {
	return map[string]string{
		"ascii":                     "correct horse",
		"ascii_with_every_sign":     ` !"#$%&'()*+,-./:;<=>?@[\]^_{|}~` + "`",
		"ascii_control_characters":  "a\tb\x01c\x7f",
		"fraction":                  "½ half",
		"roman_numeral":             "비밀번호 Ⅸ",
		"full_width":                "ｐａｓｓ１２３",
		"ligature":                  "ﬁsh & chips",
		"no_break_space":            "no\u00a0break",
		"ideographic_space":         "a\u3000b",
		"zero_width_space":          "a\u200bb",
		"soft_hyphen":               "soft\u00adhyphen",
		"soft_hyphen_alone":         "\u00ad",
		"zero_width_joiner":         "a\u200db",
		"decomposed":                "e\u0301le\u0300ve",
		"jamo":                      "\u1112\u1161\u11ab",
		"emoji":                     "pizza 🍕",
		"emoji_and_no_break_space":  "🍕\u00a0½",
		"newer_than_unicode_3_2":    "\u20b9 \u1e9e",
		"arabic":                    "كلمة",
		"arabic_ligature":           "\ufdfa",
		"arabic_then_digit":         "كلمة1", // bidi rule: the last character must be right to left, too
		"arabic_and_latin":          "aكلمةb",
		"hebrew":                    "סיסמה",
		"tone_mark":                 "a\u0340b", // prohibited, though its normal form is not
		"private_use":               "a\ue000b",
		"object_replacement":        "a\ufffcb",
		"line_separator":            "a\u2028b",
		"language_tag":              "a\U000e0041b",
		"long":                      strings.Repeat("½", 5000),
		"mixed_bidi_and_space":      "aكلمةb\u00a0c",
		"mixed_bidi_and_decomposed": "aكلمةe\u0301",
	}
}

// A role can log in through this package with every password that CheckPassword
// allows, and with no other. The server prepares the password, as it does for libpq.
func TestPasswordsArePreparedAsByPostgreSQL(t *testing.T) {
	t.Parallel()
	admin, err := pgurl.Connect(t.Context(), pgtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	const role = "saslprep_test" // roles belong to the whole server
	drop := func() {
		if _, err := admin.Exec(t.Context(), "DROP ROLE IF EXISTS "+role); err != nil {
			t.Error(err)
		}
	}
	drop()
	defer drop()
	var refused []string
	for name, password := range passwords() {
		quoted := "E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password) + "'"
		drop()
		if _, err := admin.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN PASSWORD "+quoted); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		address, err := url.Parse(admin.Config().ConnString())
		if err != nil {
			t.Fatal(err)
		}
		login := func(password string) error {
			address.User = url.UserPassword(role, password)
			conn, err := pgurl.Connect(t.Context(), address.String())
			if err == nil {
				err = conn.Close(t.Context())
			}
			return err
		}
		allowed := pgurl.CheckPassword(password)
		if allowed != nil {
			refused = append(refused, name)
			if !errors.Is(allowed, pgurl.ErrPassword) {
				t.Errorf("%s: %v", name, allowed)
			}
		}
		if err := login(password); (err == nil) != (allowed == nil) {
			t.Errorf("%s: allowed: %v, login: %v", name, allowed, err)
		}
		if err := login(password + "x"); err == nil {
			t.Fatalf("%s: the server asks for no password", name)
		}
		if again := pgurl.Prepare(pgurl.Prepare(password)); again != pgurl.Prepare(password) {
			t.Errorf("%s: prepared again it is another", name)
		}
	}
	slices.Sort(refused)
	if diff := cmp.Diff([]string{"mixed_bidi_and_decomposed", "mixed_bidi_and_space", "tone_mark"}, refused); diff != "" {
		t.Errorf("refused are others than those that SASLprep prohibits and PRECIS changes:\n%s", diff)
	}
}

func TestPasswordsThatAreNoUTF8AreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"caf\xe9 ½", "\xff", ""} {
		if got := pgurl.Prepare(password); got != password {
			t.Errorf("%q became %q", password, got)
		}
	}
}
