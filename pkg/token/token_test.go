package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/token"
)

const secret = "a-test-secret-of-32-bytes-or-more"

// moment returns the time of the tests, in whole seconds like times in tokens.
func moment() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func keysAt(now time.Time) *token.Keys {
	return token.NewKeys(token.Config{Secret: secret}, func() time.Time { return now })
}

// issue returns a token that is valid for an hour.
func issue(t *testing.T, memberID string) string {
	t.Helper()
	raw, err := keysAt(moment()).Issue(memberID, 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// sign returns a token with a valid signature for any header and claims.
func sign(header, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	body := encode([]byte(header)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return body + "." + encode(mac.Sum(nil))
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

func TestIssueAndVerify(t *testing.T) {
	t.Parallel()
	for name, memberID := range map[string]string{
		"ascii": "minji", "korean": "김민지", "longest": strings.Repeat("🍕", 100), "odd": "a\"b\\c\r\n<script>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := issue(t, memberID)
			got, err := keysAt(moment()).Verify(raw)
			if err != nil {
				t.Fatal(err)
			}
			want := token.Claims{ID: got.ID, MemberID: memberID, IssuedAt: moment(), ExpiresAt: moment().Add(time.Hour)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			again, err := keysAt(moment()).Verify(issue(t, memberID))
			if err != nil || got.ID == "" || again.ID == got.ID {
				t.Errorf("ids %q and %q, %v", got.ID, again.ID, err)
			}
		})
	}
}

// A verifier reads the generation that the login issued. A token without one has
// the oldest.
func TestGeneration(t *testing.T) {
	t.Parallel()
	for _, want := range []int64{0, 1, 1795435200123456} {
		raw, err := keysAt(moment()).Issue("minji", want, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := keysAt(moment()).Verify(raw); err != nil || got.Generation != want {
			t.Errorf("%d, want %d, %v", got.Generation, want, err)
		}
	}
	for name, text := range map[string]string{
		"text": `"1"`, "negative": `-1`, "fraction": `1.5`, "null": `null`, "list": `[1]`, "too_large_to_be_exact": `9007199254740993`, "huge": `1e300`,
	} {
		raw := sign(hs256, `{"member_id":"minji","jti":"j","iat":1795435200,"exp":1795438800,"gen":`+text+`}`)
		if _, err := keysAt(moment()).Verify(raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The wire format is a contract with other verifiers.
func TestIssuedTokenOnTheWire(t *testing.T) {
	t.Parallel()
	parts := strings.Split(issue(t, "minji"), ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	read := func(part string) map[string]any {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		return fields
	}
	header, claims := read(parts[0]), read(parts[1])
	if kid, _ := header["kid"].(string); header["alg"] != "HS256" || kid == "" || strings.Contains(secret, kid) {
		t.Errorf("header %v", header)
	}
	issued := float64(moment().Unix())
	if claims["member_id"] != "minji" || claims["iat"] != issued || claims["exp"] != issued+3600 || claims["jti"] == "" || len(claims) != 4 {
		t.Errorf("claims %v", claims)
	}
}

// The clocks of two machines can differ by Leeway: a token is accepted that long
// after it expires and that long before it was issued.
func TestVerifyExpired(t *testing.T) {
	t.Parallel()
	raw := issue(t, "minji")
	for name, test := range map[string]struct {
		after time.Duration
		want  error
	}{
		"fresh":               {0, nil},
		"last_second":         {time.Hour - time.Second, nil},
		"clocks_may_differ":   {time.Hour + token.Leeway - time.Millisecond, nil},
		"expired":             {time.Hour + token.Leeway, token.ErrExpired},
		"long_ago":            {1000 * time.Hour, token.ErrExpired},
		"issuer_clock_ahead":  {-token.Leeway, nil},
		"issued_in_future":    {-token.Leeway - time.Millisecond, token.ErrInvalid},
		"issued_in_far_years": {-100000 * time.Hour, token.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := keysAt(moment().Add(test.after)).Verify(raw); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	good := issue(t, "minji")
	parts := strings.Split(good, ".")
	const claims = `{"member_id":"minji","jti":"j","iat":1795435200,"exp":1795438800}`
	if _, err := keysAt(moment()).Verify(sign(hs256, claims)); err != nil {
		t.Fatalf("the token that the others differ from: %v", err)
	}
	other, err := token.NewKeys(token.Config{Secret: "another-secret-of-32-bytes-or-more"}, moment).Issue("minji", 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	headed := func(more string) string { return sign(`{"alg":"HS256","typ":"JWT"`+more+`}`, claims) }
	without := func(field, value string) string { return sign(hs256, strings.Replace(claims, field, value, 1)) }
	for name, test := range map[string]struct {
		raw  string
		want error
	}{
		"missing":              {"", token.ErrMissing},
		"garbage":              {"garbage", token.ErrInvalid},
		"dots":                 {"..", token.ErrInvalid},
		"two_parts":            {parts[0] + "." + parts[1], token.ErrInvalid},
		"four_parts":           {good + ".x", token.ErrInvalid},
		"no_signature":         {parts[0] + "." + parts[1] + ".", token.ErrInvalid},
		"changed_claims":       {parts[0] + "." + strings.Split(issue(t, "eve"), ".")[1] + "." + parts[2], token.ErrInvalid},
		"changed_signature":    {good[:len(good)-4] + "AAAA", token.ErrInvalid},
		"blank_around":         {" " + good + " ", token.ErrInvalid},
		"other_key":            {other, token.ErrInvalid},
		"algorithm_none":       {unsigned(t), token.ErrInvalid},
		"algorithm_none_upper": {sign(`{"alg":"NONE"}`, claims), token.ErrInvalid},
		"algorithm_hs384":      {signedBy(t, jwt.SigningMethodHS384, []byte(secret)), token.ErrInvalid},
		"algorithm_hs512":      {signedBy(t, jwt.SigningMethodHS512, []byte(secret)), token.ErrInvalid},
		"algorithm_rs256":      {signedBy(t, jwt.SigningMethodRS256, rsaKey(t)), token.ErrInvalid},
		"algorithm_unknown":    {sign(`{"alg":"HS257"}`, claims), token.ErrInvalid},
		"algorithm_missing":    {sign(`{}`, claims), token.ErrInvalid},
		"algorithm_no_string":  {sign(`{"alg":256}`, claims), token.ErrInvalid},
		"algorithm_lower":      {sign(`{"alg":"hs256"}`, claims), token.ErrInvalid},
		"algorithm_blank":      {sign(`{"alg":"HS256 "}`, claims), token.ErrInvalid},
		"algorithm_es256":      {signedBy(t, jwt.SigningMethodES256, ecdsaKey(t)), token.ErrInvalid},
		"algorithm_twice":      {sign(`{"alg":"none","alg":"HS256"}`, claims), token.ErrInvalid},
		"algorithm_disguised":  {sign(`{"ALG":"HS256"}`, claims), token.ErrInvalid},
		"header_no_json":       {sign(`HS256`, claims), token.ErrInvalid},
		"header_list":          {sign(`[]`, claims), token.ErrInvalid},
		"header_null":          {sign(`null`, claims), token.ErrInvalid},
		"header_and_more":      {sign(hs256+`{}`, claims), token.ErrInvalid},
		"kid_unknown":          {headed(`,"kid":"AAAAAAAA"`), token.ErrInvalid},
		"kid_empty":            {headed(`,"kid":""`), token.ErrInvalid},
		"kid_null":             {headed(`,"kid":null`), token.ErrInvalid},
		"kid_of_a_wrong_type":  {headed(`,"kid":["` + kid(t, good) + `"]`), token.ErrInvalid},
		"kid_twice":            {headed(`,"kid":"` + kid(t, good) + `","kid":"` + kid(t, good) + `"`), token.ErrInvalid},
		"kid_twice_in_escapes": {headed(`,"kid":"AAAAAAAA","\u006bid":"` + kid(t, good) + `"`), token.ErrInvalid},
		"kid_a_path":           {headed(`,"kid":"../../../../dev/null"`), token.ErrInvalid},
		"kid_sql":              {headed(`,"kid":"' UNION SELECT 'x' --"`), token.ErrInvalid},
		"kid_and_more":         {headed(`,"kid":"` + kid(t, good) + `\u0000"`), token.ErrInvalid},
		"kid_huge":             {headed(`,"kid":"` + strings.Repeat("k", 3000) + `"`), token.ErrInvalid},
		"typ_wrong":            {sign(`{"alg":"HS256","typ":"JWE"}`, claims), token.ErrInvalid},
		"typ_of_a_wrong_type":  {sign(`{"alg":"HS256","typ":1}`, claims), token.ErrInvalid},
		"typ_null":             {sign(`{"alg":"HS256","typ":null}`, claims), token.ErrInvalid},
		"crit":                 {headed(`,"crit":["exp"]`), token.ErrInvalid},
		"crit_empty":           {headed(`,"crit":[]`), token.ErrInvalid},
		"b64":                  {headed(`,"b64":false,"crit":["b64"]`), token.ErrInvalid},
		"jwk_of_its_own":       {headed(`,"jwk":{"kty":"oct","k":"AAAA"}`), token.ErrInvalid},
		"jku_elsewhere":        {headed(`,"jku":"https://evil.example/keys"`), token.ErrInvalid},
		"zip":                  {headed(`,"zip":"DEF"`), token.ErrInvalid},
		"nested":               {headed(`,"cty":"JWT"`), token.ErrInvalid},
		"truncated":            {good[:len(good)-1], token.ErrInvalid},
		"truncated_half":       {good[:len(good)/2], token.ErrInvalid},
		"line_end_after":       {good + "\n", token.ErrInvalid},
		"line_end_inside":      {good[:len(good)-9] + "\r\n" + good[len(good)-9:], token.ErrInvalid},
		"blank_inside":         {strings.Replace(good, ".", ". ", 1), token.ErrInvalid},
		"nul_after":            {good + "\x00", token.ErrInvalid},
		"padded":               {good + "=", token.ErrInvalid},
		"other_base64":         {strings.NewReplacer("-", "+", "_", "/").Replace(sign(hs256, claims)) + "+", token.ErrInvalid},
		"last_bits_set":        {lastBitsSet(t, good), token.ErrInvalid},
		"member_twice":         {without(`{`, `{"member_id":"eve",`), token.ErrInvalid},
		"exp_twice":            {without(`}`, `,"exp":1895438800}`), token.ErrInvalid},
		"member_disguised":     {without(`"member_id"`, `"Member_ID"`), token.ErrInvalid},
		"exp_disguised":        {without(`"exp"`, `"EXP"`), token.ErrInvalid},
		"exp_zero":             {without(`1795438800`, "0"), token.ErrInvalid},
		"exp_a_list":           {without(`1795438800`, "[1795438800]"), token.ErrInvalid},
		"exp_a_number_in_text": {without(`1795438800`, `"1795438800"`), token.ErrInvalid},
		"exp_past_all_numbers": {without(`1795438800`, "1e999"), token.ErrInvalid},
		"iat_a_number_in_text": {without(`1795435200`, `"1795435200"`), token.ErrInvalid},
		"iat_true":             {without(`1795435200`, "true"), token.ErrInvalid},
		"nbf_of_a_wrong_type":  {without(`}`, `,"nbf":"now"}`), token.ErrInvalid},
		"nbf_in_a_minute":      {without(`}`, `,"nbf":1795435260}`), token.ErrInvalid},
		"member_null":          {without(`"minji"`, "null"), token.ErrInvalid},
		"member_a_number":      {without(`"minji"`, "7"), token.ErrInvalid},
		"no_exp":               {without(`,"exp":1795438800`, ""), token.ErrInvalid},
		"null_exp":             {without(`1795438800`, "null"), token.ErrInvalid},
		"exp_of_a_wrong_type":  {without(`1795438800`, `"tomorrow"`), token.ErrInvalid},
		"exp_negative":         {without(`1795438800`, "-1"), token.ErrExpired},
		"no_iat":               {without(`"iat":1795435200,`, ""), token.ErrInvalid},
		"iat_of_a_wrong_type":  {without(`1795435200`, "[]"), token.ErrInvalid},
		"iat_in_the_future":    {without(`1795435200`, "1795435300"), token.ErrInvalid},
		"iat_past_the_leeway":  {without(`1795435200`, "1795435206"), token.ErrInvalid},
		"null_jti":             {without(`"j"`, "null"), token.ErrInvalid},
		"empty_jti":            {without(`"j"`, `""`), token.ErrInvalid},
		"jti_of_a_wrong_type":  {without(`"j"`, "7"), token.ErrInvalid},
		"no_member":            {without(`"member_id":"minji",`, ""), token.ErrInvalid},
		"empty_member":         {without(`"minji"`, `""`), token.ErrInvalid},
		"member_of_wrong_type": {without(`"minji"`, `{"$ne":""}`), token.ErrInvalid},
		"not_before_tomorrow":  {without(`}`, `,"nbf":1795521600}`), token.ErrInvalid},
		"claims_and_more":      {sign(hs256, claims+`{}`), token.ErrInvalid},
		"claims_no_object":     {sign(hs256, `[]`), token.ErrInvalid},
		"claims_null":          {sign(hs256, `null`), token.ErrInvalid},
		"claims_no_json":       {sign(hs256, `{`), token.ErrInvalid},
		"huge":                 {sign(hs256, strings.Replace(claims, "minji", strings.Repeat("m", 5000), 1)), token.ErrInvalid},
		"huge_garbage":         {strings.Repeat(".", 1<<20), token.ErrInvalid},
		"invalid_utf8":         {"\xff\xfe.\xff.\xff", token.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := keysAt(moment()).Verify(test.raw)
			if !errors.Is(err, test.want) || fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("%v, want %v", err, test.want)
			}
			if got != (token.Claims{}) {
				t.Errorf("claims of a refused token: %+v", got)
			}
		})
	}
}

// Claims of other issuers' tokens may be of any form, as long as each name is there once.
func TestVerifyIgnoresOtherClaims(t *testing.T) {
	t.Parallel()
	for _, other := range []string{`{"a":1,"b":[2,{"a":3}]}`, `[[],{},",",1]`, `"{\",\\"`, `"\u002c"`} {
		raw := sign(hs256, `{"other":`+other+`,"member_id":"minji","jti":"j","iat":1795435200,"exp":1795438800}`)
		if got, err := keysAt(moment()).Verify(raw); err != nil || got.MemberID != "minji" {
			t.Errorf("%s: %+v, %v", other, got, err)
		}
	}
}

// A token of an issuer that names no jti has an id of its own, for its revocation.
func TestVerifyWithoutID(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, claims := range []string{
		`{"member_id":"minji","exp":1795438800,"iat":1795435200}`, `{"member_id":"minji","exp":1795438801,"iat":1795435200}`,
	} {
		raw := sign(`{"alg":"HS256","typ":"JWT"}`, claims) // as PyJWT does
		for range 2 {
			got, err := keysAt(moment()).Verify(raw)
			if err != nil || got.MemberID != "minji" || !strings.HasPrefix(got.ID, "sha256-") || len(got.ID) != 50 {
				t.Errorf("%+v, %v", got, err)
			}
			ids[got.ID] = true
		}
	}
	if len(ids) != 2 {
		t.Errorf("two tokens have the ids %v", ids)
	}
}

// kid returns the ID of the key that signed a token.
func kid(t *testing.T, raw string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid string }
	if err := json.Unmarshal(text, &header); err != nil || header.Kid == "" {
		t.Fatalf("header %s, %v", text, err)
	}
	return header.Kid
}

// lastBitsSet changes the unused bits of a token's last character: a signature of
// 32 bytes leaves two.
func lastBitsSet(t *testing.T, raw string) string {
	t.Helper()
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(raw) - 1
	changed := raw[:last] + string(digits[strings.IndexByte(digits, raw[last])|1])
	if changed == raw || !signed(changed) {
		t.Fatalf("%q is no other writing of %q", changed, raw)
	}
	return changed
}

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{"member_id": "minji", "jti": "j", "iat": moment().Unix(), "exp": moment().Add(time.Hour).Unix()}
}

func signedBy(t *testing.T, method jwt.SigningMethod, key any) string {
	t.Helper()
	raw, err := jwt.NewWithClaims(method, goodClaims()).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func unsigned(t *testing.T) string {
	t.Helper()
	return signedBy(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecdsaKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A 401 names an error only if a token was sent and rejected (RFC 6750, section 3.1).
func TestChallenge(t *testing.T) {
	t.Parallel()
	const plain = `Bearer realm="pizza"`
	refused := func(why string) string { return plain + `, error="invalid_token", error_description="` + why + `"` }
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"invalid":        {token.ErrInvalid, refused("the token is not valid")},
		"expired":        {token.ErrExpired, refused("the token has expired")},
		"revoked":        {token.ErrRevoked, refused("the token was revoked")},
		"wrapped":        {fmt.Errorf("check: %w", token.ErrRevoked), refused("the token was revoked")},
		"missing":        {token.ErrMissing, plain},
		"wrong_password": {fault.New(fault.Unauthenticated, "the id or the password is wrong"), plain},
		"no_error":       {nil, plain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := token.Challenge(test.err); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Bearer abc":       "abc",
		"bearer abc":       "abc",
		"BEARER abc":       "abc",
		"Bearer   abc  ":   "abc",
		"":                 "",
		"Bearer":           "",
		"Bearer ":          "",
		"abc":              "",
		"Basic dTpw":       "",
		"BearerX abc":      "",
		" Bearer abc":      "",
		"Bearer\tabc":      "",
		"Token Bearer abc": "",
	} {
		if got := token.Bearer(header); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	if _, ok := token.FromContext(t.Context()); ok {
		t.Error("claims of nobody")
	}
	want := token.Claims{ID: "j", MemberID: "minji"}
	if got, ok := token.FromContext(token.NewContext(t.Context(), want)); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
}

// No token causes a panic, and none is accepted without a valid signature.
func FuzzVerify(f *testing.F) {
	good, err := keysAt(moment()).Issue("minji", 0, time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	for _, raw := range []string{
		good, "", "..", "a.b.c", good + "x", good + "\n", sign(hs256, `{}`), sign(`{"alg":"none"}`, `{}`), "\xff.\x00.é",
		sign(`{"alg":"HS256","kid":"a","kid":"b"}`, `{}`), sign(`{"alg":"HS256","crit":["x"]}`, `{"exp":1e999}`),
	} {
		f.Add(raw)
	}
	keys := keysAt(moment())
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := keys.Verify(raw)
		switch {
		case err == nil && (claims.MemberID == "" || claims.ID == "" || claims.ExpiresAt.IsZero() || !signed(raw)):
			t.Errorf("accepted %q as %+v", raw, claims)
		case err != nil && fault.CodeOf(err) != fault.Unauthenticated:
			t.Errorf("%q: %v", raw, err)
		}
	})
}

// No token signed by our keys causes a panic, and only complete ones are accepted.
func FuzzVerifySigned(f *testing.F) {
	const claims = `{"member_id":"minji","jti":"j","iat":1795435200,"exp":1795438800}`
	for _, part := range []string{
		claims, `{}`, `null`, `[]`, claims[:40], strings.Replace(claims, "1795438800", "1e308", 1), strings.Replace(claims, `"iat"`, `"nbf"`, 1),
		strings.Replace(claims, "{", `{"exp":1,`, 1), "\xff",
	} {
		f.Add(hs256, part)
	}
	for _, header := range []string{
		`{"alg":"HS256"}`, `{"alg":"none"}`, `{"alg":"HS256","kid":7}`, `{"alg":"HS256","kid":"x","kid":"y"}`, `{"alg":"HS256","crit":[]}`, `null`,
	} {
		f.Add(header, claims)
	}
	keys := keysAt(moment())
	f.Fuzz(func(t *testing.T, header, claims string) {
		got, err := keys.Verify(sign(header, claims))
		if err != nil {
			if fault.CodeOf(err) != fault.Unauthenticated {
				t.Errorf("%s %s: %v", header, claims, err)
			}
			return
		}
		var fields struct{ Alg string }
		if json.Unmarshal([]byte(header), &fields) != nil || fields.Alg != "HS256" {
			t.Errorf("header %s", header)
		}
		late, early := moment().Add(-6*time.Second), moment().Add(6*time.Second)
		if got.MemberID == "" || got.ID == "" || !got.ExpiresAt.After(late) || got.IssuedAt.After(early) {
			t.Errorf("accepted %s as %+v", claims, got)
		}
	})
}

// signed reports whether the signature of a token is valid.
func signed(raw string) bool {
	i := strings.LastIndexByte(raw, '.')
	if i < 0 {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(raw[:i]))
	got, err := base64.RawURLEncoding.DecodeString(raw[i+1:])
	return err == nil && hmac.Equal(got, mac.Sum(nil))
}

// BenchmarkVerify is a part of every request of a member.
func BenchmarkVerify(b *testing.B) {
	keys := keysAt(moment())
	raw, err := keys.Issue("minji", 1795435200123456, time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Verify(raw); err != nil {
			b.Fatal(err)
		}
	}
}
