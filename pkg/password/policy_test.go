package password

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func policy(t testing.TB, c PolicyConfig) *Policy {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := NewPolicy(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	const ok, short, long, common, id = "", "must be at least 8 characters", "must be at most 128 characters", "is one of the most common passwords", "must not be the id"
	varied := strings.Repeat("a Passphrase of many different words, 비밀, ", 4)
	p := policy(t, PolicyConfig{MinLength: 8})
	for _, test := range []struct{ password, want string }{
		{"", "is required"},
		{"1234567", short},
		{"비밀번호비밀번", short},
		{"e\u0301e\u0301e\u0301e\u0301", short}, // 8 sent, 4 hashed
		{"ﷺ", short},                            // 1 sent, 18 hashed
		{string([]rune(varied)[:128]), ok},
		{string([]rune(varied)[:129]), long},
		{strings.Repeat("\u1107\u1175a", 62) + "xyzw", ok}, // 190 sent, 128 hashed
		{strings.Repeat("\ufdfa", 20000), long},
		// No composition rules.
		{"correct horse", ok},
		{"krpmvzta", ok},
		{"83610274", ok},
		{"떡볶이먹고싶다!", ok},
		{"🍕🍔🍟🌭🍿🥓🥚🍳", ok},
		{"mypasswordisaverylongone", ok}, // common words in it are fine: only the whole is compared
		// Easy to guess.
		{"password", common},
		{"PassWord", common},
		{"ｐａｓｓｗｏｒｄ", common},
		{"password1", common},
		{"Password123!", common},
		{"P@ssw0rd", common},
		{"p4$$w0rd2026", common},
		{"we1come1!", common},
		{"letmein!", common},
		{"12345678", common},
		{"87654321", common},
		{"abcdefghijk", common},
		{"qwer1234!", common},
		{"1q2w3e4r", common},
		{"pizza1234", common},
		{"비밀번호1234", common},
		{"qlalfqjsgh1", common}, // the same on the other keyboard layout
		{"kim-minji", id},
		{"KIM-Minji", id},
	} {
		if got := p.Rule(test.password, "Kim-Minji"); got != test.want {
			t.Errorf("%q: %q, want %q", test.password, got, test.want)
		}
	}
	if got := policy(t, PolicyConfig{MinLength: 15}).Rule("correct horse", "x"); got != "must be at least 15 characters" {
		t.Errorf("with 15 as the least: %q", got)
	}
}

// Variants of trivial passwords are rejected, even if they are on no list.
func TestGuessablePasswordsAreRefused(t *testing.T) {
	t.Parallel()
	p := policy(t, PolicyConfig{MinLength: 8})
	for kind, passwords := range map[string][]string{
		"one_character":  {"99999999", "        ", "   x    ", "ㅋㅋㅋㅋㅋㅋㅋㅋ", "🍕🍕🍕🍕🍕🍕🍕🍕"},
		"few_characters": {"aaaaaaab", "baaaaaaa", "aaaabbbb", "abbaabba", "11221122", "abcabcabcabc", "10110100", "aaaaaaaaaaaaaaaaaaaab", "ababababcccc"},
		"nearly_one":     {"aaaaaaa1!", "00000000ab", "zzzzzzzz12"},
		"alphabet":       {"abcdefgh1", "1abcdefgh", "hgfedcba!", "abcdefghijklmno", "가나다라마바사아", "bcdefghi", "xyzabcdef", "abcdefg12"},
		"digits":         {"23456789", "98765432a", "1234567a8", "a123456789b", "12345678!", "1234512345", "11112222!", "12312312a"},
		"keyboard":       {"qwertyui", "asdfghjk1", "zxcvbnm,1", "poiuytre", "1qaz2wsx!", "qweasdzxc", "asdfqwer12", "qwer!@#$", "!@#$%^&*9", "7ujm8ik,"},
		"woven":          {"a1b2c3d4", "1z2x3c4v5b", "q1w2e3r4!", "z9y8x7w6", "aabbccdd", "112233aabb", "qqwweerrt"},
		"repeated":       {"horse horse", "hunter2hunter2", "passwordpassword", "pizzapizzapizza", "사랑해사랑해사랑해사랑해", "xk7xk7xk7xk7", "asdqweasdqwe"},
		"common_word":    {"pizza123", "123pizza!", "1pizza1!", "Sunshine-1", "dragon#12", "pizza 123", "비밀번호-가나다", "P1zz4!!!!!!", "love20261"},
		"date":           {"19870423", "20010115", "19991231", "20260101"},
		"id":             {"minji.kim1", "minji.kim!!", "Minji1234", "minji2026", "kim12345", "minjiminji", "minjikim1", "1minji99", "KIM-minji"},
	} {
		for _, password := range passwords {
			if got := p.Rule(password, "Minji.Kim"); !strings.HasPrefix(got, "is too easy to guess") && got != "is one of the most common passwords" {
				t.Errorf("%s: %q is %q", kind, password, got)
			}
		}
	}
}

// Passwords chosen with some thought are accepted, without composition rules.
func TestGoodPasswordsAreAccepted(t *testing.T) {
	t.Parallel()
	p := policy(t, PolicyConfig{MinLength: 8})
	for _, password := range []string{
		"correct horse", "battery staple", "correct-battery", "another-good-password", "a good enough one", "let the cat sleep", "mypasswordisaverylongone",
		"krpmvzta", "83610274", "x7Kq!m2R", "tr0ub4dor&3", "Zj6#kqLp", "9f86d081884c7d65", "hunter gatherer", "blue window fish", "coffee sunshine dragon",
		"three blind mice", "kims-secret", "i like my pizza cold", "one fish two fish red fish", "wir essen gern pizza", "le chat est noir", "8-ball corner pocket",
		"피자는역시하와이안", "오늘 저녁은 치킨이다", "우리집 고양이 이름은 나비", "가나다순으로 정렬", "서울에서 부산까지 걷기", "dhksrjflcl39", "떡볶이먹고싶다",
		"すしが食べたい今日", "пицца без ананаса", "🍕🍔🍟🌭🍿🥓🥚🍳", "     twelve blanks", "minji loves anchovies", "kim and the tall giraffe",
	} {
		if got := p.Rule(password, "Minji.Kim"); got != "" && utf8.RuneCountInString(password) >= MinLength {
			t.Errorf("%q %s", password, got)
		}
	}
}

// No input is expensive to check, however long it or its normal form is.
func BenchmarkRule(b *testing.B) {
	p := policy(b, PolicyConfig{MinLength: 8})
	for name, password := range map[string]string{
		"short": "correct horse", "longest": string([]rune(strings.Repeat("The quick brown fox jumps over 13 lazy dogs; ", 3))[:128]), "digits": strings.Repeat("31415926535897932384626433832795", 4), "ligatures": strings.Repeat("\ufdfa", 512), "body": strings.Repeat("\ufdfa", 20000),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Rule(password, "minji.kim@example.com")
			}
		})
	}
}

// The list is as its header says.
func TestCommonList(t *testing.T) {
	t.Parallel()
	c := readCommon(commonText)
	if n := len(c.words)*(len(c.endings)+2) + len(c.whole); n < 80_000 || n > 120_000 {
		t.Errorf("the list stands for %d passwords", n)
	}
	for w := range c.words {
		if utf8.RuneCountInString(w) > maxWord {
			t.Errorf("%q is longer than the longest word", w)
		}
	}
	for p := range c.whole {
		if utf8.RuneCountInString(p) < MinLength {
			t.Errorf("%q is too short anyway", p)
		}
		if !c.has(p) {
			t.Errorf("%q is not found", p)
		}
	}
	for e := range c.endings {
		if len(e) > maxEnding || !c.has("dragon"+e) {
			t.Errorf("the ending %q is not found", e)
		}
	}
}

func TestBlocklist(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(file, []byte("short\nZebra Crossing\r\nlast line"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := policy(t, PolicyConfig{MinLength: 8, Blocklist: file})
	for password, refused := range map[string]bool{"zebra crossing": true, "LAST LINE": true, "zebra crossings": false, "password": true} {
		if got := p.Rule(password, "x"); (got != "") != refused {
			t.Errorf("%q: %q", password, got)
		}
	}
}

func TestPolicyRules(t *testing.T) {
	t.Parallel()
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxBlocklist+1); err != nil {
		t.Fatal(err)
	}
	for _, c := range []PolicyConfig{
		{MinLength: 7}, {MinLength: 65}, {MinLength: 8, Blocklist: "/nowhere"}, {MinLength: 8, Blocklist: t.TempDir()}, {MinLength: 8, Blocklist: large},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if _, err := NewPolicy(PolicyConfig{MinLength: 8, Blocklist: "/nowhere"}); err == nil {
		t.Error("a list that is gone is accepted")
	}
}

// No input causes a panic, and accepted passwords are long enough.
func FuzzPolicy(f *testing.F) {
	p := policy(f, PolicyConfig{MinLength: 8})
	for _, password := range []string{"", "password1!", "ﷺ", "\xff\xfe", "12345678", strings.Repeat("e\u0301", 200)} {
		f.Add(password, "minji")
	}
	f.Fuzz(func(t *testing.T, password, id string) {
		if p.Rule(password, id) == "" && utf8.RuneCountInString(password) < 8 {
			t.Errorf("%q is accepted", password)
		}
	})
}

// The length in bytes is checked before any work that grows with the password: 60
// KB of U+FDFA are 360,000 characters of NFKC.
func TestLengthComesFirst(t *testing.T) { //nolint:paralleltest // others would allocate meanwhile
	p, err := NewPolicy(PolicyConfig{MinLength: MinLength})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("\ufdfa", 20_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	rule := p.Rule(long, "minji")
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; rule != "must be at most 128 characters" || spent > 50_000 {
		t.Errorf("%q after %d bytes of work", rule, spent)
	}
	var longest strings.Builder
	for i := range rune(MaxLength) {
		longest.WriteRune(0xac01 + 28*(i*i%97)) // syllables of three letters, three bytes each
	}
	if rule := p.Rule(norm.NFD.String(longest.String()), "minji"); rule != "" {
		t.Errorf("%q for the longest password, decomposed", rule)
	}
}
