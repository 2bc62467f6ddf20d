package password

import (
	"strings"
	"testing"
)

func TestCostRules(t *testing.T) {
	t.Parallel()
	const memory, passes = "PASSWORD_MEMORY_KIB", "PASSWORD_PASSES"
	for _, test := range []struct {
		cost Cost
		bad  string
	}{
		{Recommended(), ""}, {Cost{47104, 1}, ""}, {Cost{12288, 3}, ""}, {Cost{9216, 4}, ""}, {Cost{7168, 5}, ""}, {Cost{65536, 10}, ""},
		{Cost{19456, 1}, memory}, {Cost{19455, 2}, memory}, {Cost{7167, 10}, memory}, {Cost{65537, 2}, memory},
		{Cost{47104, 0}, passes}, {Cost{19456, 11}, passes},
	} {
		err := test.cost.Validate()
		if (err == nil) != (test.bad == "") || err != nil && !strings.HasPrefix(err.Error(), test.bad) {
			t.Errorf("%+v: %v", test.cost, err)
		}
	}
}

// When the cost rises, older hashes are outdated; hashes of a higher cost are not.
func TestCostRises(t *testing.T) {
	t.Parallel()
	stored := Recommended().Hash("password")
	for _, test := range []struct {
		cost Cost
		want bool
	}{{Recommended(), false}, {Cost{19456, 3}, true}, {Cost{20480, 2}, true}, {Cost{7168, 2}, false}} {
		if v, err := (Verifier{Cost: test.cost}).Verify(stored, "password"); !v.OK || v.Outdated != test.want || err != nil {
			t.Errorf("%+v: %+v, %v", test.cost, v, err)
		}
	}
	if dear := (Cost{20480, 3}).Hash("password"); !strings.HasPrefix(dear, "$argon2id$v=19$m=20480,t=3,p=1$") {
		t.Errorf("hashed as %q", dear)
	}
}

// One text has one hash, from any keyboard. Values stored before without
// normalization still accept the original text.
func TestUnicode(t *testing.T) {
	t.Parallel()
	const composed, decomposed = "비밀번호é", "비밀번호e\u0301"
	jamo := "\u1107\u1175\u1106\u1175\u11af\u1107\u1165\u11ab\u1112\u1169é"
	raw := argon2id{memory: 256, passes: 1, threads: 1, salt: make([]byte, saltLength)}
	raw.key = raw.derive(decomposed, keyLength)
	hash := Recommended().Hash
	for _, test := range []struct {
		name, stored, password string
		ok, outdated           bool
	}{
		{"decomposed", hash(composed), decomposed, true, false},
		{"jamo", hash(composed), jamo, true, false},
		{"composed", hash(decomposed), composed, true, false},
		{"full_width", hash("ｐｉｚｚａ１２３４"), "pizza1234", true, false},
		{"as_it_was_stored", raw.String(), decomposed, true, true},
		{"clear_text_as_it_was_stored", decomposed, decomposed, true, true},
		{"other", hash(composed), "비밀번호e", false, false},
	} {
		if v, err := verifier().Verify(test.stored, test.password); v.OK != test.ok || v.Outdated != test.outdated || err != nil {
			t.Errorf("%s: %+v, %v", test.name, v, err)
		}
	}
}
