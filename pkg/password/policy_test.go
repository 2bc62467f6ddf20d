package password

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
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
	p := policy(t, PolicyConfig{MinLength: 8})
	for _, test := range []struct{ password, want string }{
		{"", "is required"},
		{"1234567", short},
		{"비밀번호비밀번", short},
		{"e\u0301e\u0301e\u0301e\u0301", short}, // 8 come, 4 are hashed
		{"ﷺ", short},                            // 1 comes, 18 are hashed
		{strings.Repeat("ab", 64), ok},
		{strings.Repeat("ab", 64) + "a", long},
		{strings.Repeat("\u1107\u1175a", 64), ok}, // 192 come, 128 are hashed
		// No rule on what it is made of.
		{"correct horse", ok},
		{"krpmvzta", ok},
		{"83610274", ok},
		{"   x    ", ok},
		{"비밀번호-가나다", ok},
		{"🍕🍔🍟🌭🍿🥓🥚🍳", ok},
		{"mypasswordisaverylongone", ok}, // common words in it are fine: the whole is compared
		// As everybody would guess.
		{"password", common},
		{"PassWord", common},
		{"ｐａｓｓｗｏｒｄ", common},
		{"password1", common},
		{"Password123!", common},
		{"P@ssw0rd", common},
		{"p4$$w0rd2026", common},
		{"we1come1!", common},
		{"letmein!", common},
		{"passwordpassword", common},
		{"12345678", common},
		{"87654321", common},
		{"99999999", common},
		{"        ", common},
		{"abcdefghijk", common},
		{"qwer1234!", common},
		{"1q2w3e4r", common},
		{"pizza1234", common},
		{"비밀번호1234", common},
		{"qlalfqjsgh1", common}, // the same on the other layout
		{"사랑해사랑해사랑해사랑해", ok},
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

// The list is as its first lines say.
func TestCommonList(t *testing.T) {
	t.Parallel()
	c := readCommon(commonText)
	if n := len(c.words)*(len(c.endings)+2) + len(c.whole); n < 80_000 || n > 120_000 {
		t.Errorf("the list stands for %d passwords", n)
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

// Whatever is typed: no panic, and what is accepted is long enough.
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
