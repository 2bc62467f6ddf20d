package token_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/config"
	secrets "example.com/pizza/pkg/secret"
	"example.com/pizza/pkg/testkit/tokentest"
	"example.com/pizza/pkg/token"
)

// secretOf returns a valid secret, one for each letter.
func secretOf(letter string) string { return strings.Repeat(letter, 32) }

func keysOf(signing string, previous ...string) *token.Keys {
	c := token.Config{Secret: secrets.Text(signing)}
	for _, p := range previous {
		c.Previous = append(c.Previous, secrets.Text(p))
	}
	return token.NewKeys(c, moment)
}

func mustIssue(t *testing.T, k *token.Keys) string {
	t.Helper()
	raw, err := k.Issue("minji", 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A rotation step by step, as seen by a verifier with the previous, current and next
// keys.
func TestVerifyWithSeveralKeys(t *testing.T) {
	t.Parallel()
	a, b, c := secretOf("a"), secretOf("b"), secretOf("c")
	byA, byB := mustIssue(t, keysOf(a)), mustIssue(t, keysOf(b, a))
	if kid(t, byA) == kid(t, byB) || kid(t, byA) != kid(t, mustIssue(t, keysOf(a, b, c))) {
		t.Errorf("kids %s and %s: one key, one name", kid(t, byA), kid(t, byB))
	}
	for name, test := range map[string]struct {
		keys     *token.Keys
		raw      string
		accepted bool
	}{
		"own_key":                         {keysOf(a), byA, true},
		"verifier_knows_the_new_one":      {keysOf(a, b), byB, true},
		"verifier_does_not_yet":           {keysOf(a), byB, false},
		"old_token_after_the_change":      {keysOf(b, a), byA, true},
		"old_token_after_the_removal":     {keysOf(b), byA, false},
		"third_key":                       {keysOf(c, b, a), byA, true},
		"same_key_in_two_places":          {keysOf(a, a, a), byA, true},
		"without_kid_by_the_signing_key":  {token.NewKeys(token.Config{Secret: secret}, moment), sign(hs256, goodText), true},
		"without_kid_by_a_previous_key":   {keysOf(b, a, secret), sign(hs256, goodText), true},
		"without_kid_by_an_unknown_key":   {keysOf(b, a), sign(hs256, goodText), false},
		"kid_of_another_key_that_we_have": {keysOf(a, secret), sign(`{"alg":"HS256","kid":"`+kid(t, byA)+`"}`, goodText), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := test.keys.Verify(test.raw)
			if test.accepted && err != nil || !test.accepted && !errors.Is(err, token.ErrInvalid) {
				t.Errorf("error %v, want accepted: %v", err, test.accepted)
			}
		})
	}
}

// goodText has the claims of a valid token from another issuer.
const goodText = `{"member_id":"minji","jti":"j","iat":1795435200,"exp":1795438800}`

// Configuration errors of a starting service name the problem, and contain no
// secret.
func TestConfigRules(t *testing.T) {
	t.Parallel()
	good, other := secretOf("k"), secretOf("m")
	mounted := tokentest.NewVolume(t, good+"\n", other, secretOf("n"))
	short := tokentest.NewVolume(t, "short-kkkk", "short-mmmm")
	empty := tokentest.NewVolume(t, "", "")
	two := tokentest.NewVolume(t, good+"\n"+other, good+"\r\n\r\n  "+other+"  \r\n")
	long := tokentest.NewVolume(t, strings.Repeat("k", 70<<10), good)
	many := make([]string, 9)
	for i := range many {
		many[i] = secretOf(string(rune('a' + i)))
	}
	file, previous := "JWT_SECRET_FILE=", "JWT_SECRET_PREVIOUS_FILE="
	for name, test := range map[string]struct {
		environ []string
		wrong   []string // in the error; nil for success
	}{
		"variable":                    {[]string{"JWT_SECRET=" + good}, nil},
		"no_key_at_all":               {nil, []string{"JWT_SECRET or JWT_SECRET_FILE is required"}},
		"empty":                       {[]string{"JWT_SECRET="}, []string{"JWT_SECRET or JWT_SECRET_FILE is required"}},
		"31_bytes":                    {[]string{"JWT_SECRET=" + good[1:]}, []string{"JWT_SECRET: a key must be at least 32 bytes long (one has 31)"}},
		"bytes_count_not_characters":  {[]string{"JWT_SECRET=" + strings.Repeat("키", 11)}, nil},
		"line_end":                    {[]string{"JWT_SECRET=" + good + "\n"}, []string{"JWT_SECRET: a key must not begin or end with"}},
		"previous":                    {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS=" + other + "," + secretOf("n")}, nil},
		"previous_empty":              {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS="}, nil},
		"previous_short":              {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS=" + other + ",short-kkkk"}, []string{"JWT_SECRET_PREVIOUS: a key must"}},
		"previous_with_a_gap":         {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS=" + other + ","}, []string{"JWT_SECRET_PREVIOUS: a key must"}},
		"as_many_as_possible":         {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS=" + strings.Join(many[:7], ",")}, nil},
		"too_many":                    {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS=" + strings.Join(many, ",")}, []string{"too many keys: 9 of at most 7"}},
		"file":                        {[]string{file + mounted.Path("signing")}, nil},
		"files":                       {[]string{file + mounted.Path("signing"), previous + mounted.Path("previous")}, nil},
		"previous_of_both_kinds":      {[]string{"JWT_SECRET=" + good, "JWT_SECRET_PREVIOUS=" + other, previous + two.Path("previous")}, nil},
		"previous_file_empty":         {[]string{"JWT_SECRET=" + good, previous + empty.Path("previous")}, nil},
		"variable_and_file":           {[]string{"JWT_SECRET=" + good, file + mounted.Path("signing")}, []string{"JWT_SECRET and JWT_SECRET_FILE exclude each other"}},
		"file_empty":                  {[]string{file + empty.Path("signing")}, []string{"JWT_SECRET_FILE must hold one key (it holds 0)"}},
		"file_with_two_keys":          {[]string{file + two.Path("signing")}, []string{"JWT_SECRET_FILE must hold one key (it holds 2)"}},
		"file_too_long":               {[]string{file + long.Path("signing")}, []string{"JWT_SECRET_FILE cannot be read"}},
		"file_is_not_there":           {[]string{file + mounted.Path("nothing")}, []string{"JWT_SECRET_FILE cannot be read"}},
		"file_is_a_folder":            {[]string{file + mounted.Path(".")}, []string{"JWT_SECRET_FILE cannot be read"}},
		"previous_file_is_not_there":  {[]string{"JWT_SECRET=" + good, previous + mounted.Path("nothing")}, []string{"JWT_SECRET_PREVIOUS_FILE cannot be read"}},
		"every_wrong_one_is_reported": {[]string{file + short.Path("signing"), previous + short.Path("previous"), "JWT_SECRET_PREVIOUS=short-kkkk"}, []string{"JWT_SECRET_FILE: a key must", "JWT_SECRET_PREVIOUS_FILE: a key must", "JWT_SECRET_PREVIOUS: a key must"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[struct{ Token token.Config }](test.environ)
			if (err == nil) != (test.wrong == nil) {
				t.Fatalf("error %v", err)
			}
			for _, w := range test.wrong {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not say %q:\n%v", w, err)
				}
			}
			if err != nil && (strings.Contains(err.Error(), "kkkk") || strings.Contains(err.Error(), "mmmm")) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}
