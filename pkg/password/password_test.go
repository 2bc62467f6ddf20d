package password

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"
)

func verifier() Verifier { return Verifier{Cost: Recommended()} }

// Values from other programs.
const (
	// The test vectors of the reference implementation of Argon2.
	argonLight    = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	argonParallel = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
	argonHeavy    = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	// From Django's own tests, for "lètmein".
	djangoHash = "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY="
	bcryptHash = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
)

func TestHash(t *testing.T) {
	t.Parallel()
	for name, password := range map[string]string{
		"ascii": "correct horse", "korean": "비밀번호-가나다", "blanks": "        ",
		"long": strings.Repeat("피", 20000), "like_a_hash": argonLight,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := Recommended().Hash(password)
			if !strings.HasPrefix(stored, "$argon2id$v=19$m=19456,t=2,p=1$") || len(stored) > 100 {
				t.Errorf("%q does not fit the column", stored)
			}
			if again := Recommended().Hash(password); again == stored {
				t.Errorf("the salt is the same: %q", again)
			}
			if v, err := verifier().Verify(stored, password); !v.OK || v.Outdated || err != nil {
				t.Errorf("the password: %+v, %v", v, err)
			}
			for _, other := range []string{password[1:], stored} {
				if v, err := verifier().Verify(stored, other); v.OK || err != nil {
					t.Errorf("another password, %.40q: %+v, %v", other, v, err)
				}
			}
		})
	}
}

// The most expensive hash that can be configured fits the column too.
func TestHashFitsTheColumn(t *testing.T) {
	t.Parallel()
	h := argon2id{memory: maxMemory, passes: maxPasses, threads: 1, salt: make([]byte, saltLength), key: make([]byte, keyLength)}
	if n := len(h.String()); n > 100 {
		t.Errorf("%d characters", n)
	}
	if stored, _ := HashForDjango("password"); len(stored) > 100 {
		t.Errorf("%d characters for Django", len(stored))
	}
}

// Django does not normalize, so the hash is of the text as it was sent.
func TestHashForDjango(t *testing.T) {
	t.Parallel()
	const decomposed = "비밀번호e\u0301"
	stored, run := HashForDjango(decomposed)
	again, _ := HashForDjango(decomposed)
	if stored == again || run.Function != PBKDF2 || run.Work != newIterations {
		t.Errorf("%s, %s, %+v", stored, again, run)
	}
	h, err := parseDjango(stored)
	if err != nil || !h.matches(decomposed) || h.matches(Normal(decomposed)) {
		t.Errorf("%s: %v", stored, err)
	}
	if v, err := verifier().Verify(stored, decomposed); !v.OK || !v.Outdated || err != nil {
		t.Errorf("%s: %+v, %v", stored, v, err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	current := Recommended().Hash("password")
	for _, test := range []struct {
		name, stored, password string
		ok, outdated           bool
		unreadable             bool
	}{
		{name: "current", stored: current, password: "password", ok: true},
		{name: "current_wrong", stored: current, password: "Password"},
		{name: "argon2id_light", stored: argonLight, password: "password", ok: true, outdated: true},
		{name: "argon2id_parallel", stored: argonParallel, password: "password", ok: true, outdated: true},
		{name: "argon2id_short_salt", stored: argonHeavy, password: "password", ok: true, outdated: true},
		{name: "argon2id_wrong", stored: argonHeavy, password: "password1"},
		{name: "django", stored: djangoHash, password: "lètmein", ok: true, outdated: true},
		{name: "django_wrong", stored: djangoHash, password: "letmein"},
		{name: "clear_text", stored: "pizza1234", password: "pizza1234", ok: true, outdated: true},
		{name: "clear_text_of_one_character", stored: "1", password: "1", ok: true, outdated: true},
		{name: "clear_text_korean", stored: "비밀번호", password: "비밀번호", ok: true, outdated: true},
		{name: "clear_text_with_a_dollar", stored: "$argon", password: "$argon", ok: true, outdated: true},
		{name: "clear_text_with_a_bang", stored: "!qwer1234", password: "!qwer1234", ok: true, outdated: true},
		{name: "clear_text_blanks_count", stored: "pizza1234 ", password: "pizza1234"},
		{name: "clear_text_case_counts", stored: "pizza1234", password: "PIZZA1234"},
		{name: "clear_text_prefix", stored: "pizza1234", password: "pizza123"},
		{name: "no_member", stored: "", password: "pizza1234"},
		{name: "no_member_no_password", stored: "", password: ""},
		{name: "argon2i", stored: strings.Replace(argonLight, "argon2id", "argon2i", 1), password: "password", unreadable: true},
		{name: "bcrypt", stored: bcryptHash, password: "abc123xyz", unreadable: true},
		{name: "django_unusable", stored: "!" + strings.Repeat("aZ09", 10), password: "x", unreadable: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v, err := verifier().Verify(test.stored, test.password)
			if v.OK != test.ok || v.Outdated != test.outdated || errors.Is(err, ErrUnreadable) != test.unreadable || (err != nil) != test.unreadable {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

// unreadable returns invalid hashes, many crafted to exhaust memory or time.
func unreadable() map[string]string {
	argon := func(costs string) string {
		return "$argon2id$v=19$" + costs + "$c29tc2FsdHNhbHQ$c29tZWtleXNvbWVrZXlzb21la2V5"
	}
	return map[string]string{
		"argon2id_nothing":          "$argon2id$",
		"argon2id_no_key":           "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
		"argon2id_one_part_more":    argonLight + "$x",
		"argon2id_old_version":      strings.Replace(argonLight, "v=19", "v=16", 1),
		"argon2id_no_version":       strings.Replace(argonLight, "v=19$", "", 1),
		"argon2id_4_GiB":            argon("m=4194304,t=1,p=1"),
		"argon2id_over_64_MiB":      argon("m=65537,t=1,p=1"),
		"argon2id_overflow":         argon("m=4294967297,t=1,p=1"),
		"argon2id_many_passes":      argon("m=256,t=4294967295,p=1"),
		"argon2id_many_threads":     argon("m=65536,t=1,p=255"),
		"argon2id_threads_overflow": argon("m=256,t=1,p=257"),
		"argon2id_no_memory":        argon("m=0,t=1,p=1"),
		"argon2id_less_than_least":  argon("m=15,t=1,p=2"),
		"argon2id_no_passes":        argon("m=256,t=0,p=1"),
		"argon2id_no_threads":       argon("m=256,t=1,p=0"),
		"argon2id_negative":         argon("m=-256,t=1,p=1"),
		"argon2id_plus":             argon("m=+256,t=1,p=1"),
		"argon2id_leading_zero":     argon("m=0256,t=1,p=1"),
		"argon2id_other_order":      argon("t=1,m=256,p=1"),
		"argon2id_one_more":         argon("m=256,t=1,p=1,keyid=x"),
		"argon2id_short_salt":       "$argon2id$v=19$m=256,t=1,p=1$c2FsdA$c29tZWtleXNvbWVrZXlzb21la2V5",
		"argon2id_short_key":        "$argon2id$v=19$m=256,t=1,p=1$c29tc2FsdHNhbHQ$a2V5",
		"argon2id_empty_key":        "$argon2id$v=19$m=256,t=1,p=1$c29tc2FsdHNhbHQ$",
		"argon2id_padded":           argonLight + "=",
		"argon2id_line_end":         argonLight + "\n",
		"argon2id_url_alphabet":     strings.ReplaceAll(argonLight, "/", "_"),
		"django_nothing":            "pbkdf2_sha256$",
		"django_endless":            strings.Replace(djangoHash, "10000", "2000001", 1),
		"django_overflow":           strings.Replace(djangoHash, "10000", "99999999999999999999", 1),
		"django_no_iterations":      strings.Replace(djangoHash, "10000", "0", 1),
		"django_negative":           strings.Replace(djangoHash, "10000", "-1", 1),
		"django_no_salt":            strings.Replace(djangoHash, "seasalt", "", 1),
		"django_no_key":             "pbkdf2_sha256$1$seasalt$",
		"django_short_key":          "pbkdf2_sha256$1$seasalt$CWWF",
		"django_one_part_more":      djangoHash + "$x",
		"django_sha1":               "pbkdf2_sha1$1$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3I=",
		"django_argon2":             "argon2" + argonLight,
		"django_bcrypt":             "bcrypt_sha256$" + bcryptHash,
		"django_md5":                "md5$seasalt$3f86d0d3d465b7b458c231bf3555c0e3",
		"django_unusable":           "!" + strings.Repeat("a", 40),
		"crypt_sha512":              "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1",
		"crypt_yescrypt":            "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7",
	}
}

// A copy of the table must not be enough to log in.
func TestStoredHashIsNoPassword(t *testing.T) {
	t.Parallel()
	for name, stored := range unreadable() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if f, err := parse(stored); !errors.Is(err, ErrUnreadable) {
				t.Errorf("read as %#v, %v", f, err)
			}
		})
	}
	for name, stored := range map[string]string{"argon2id": argonLight, "django": djangoHash, "bcrypt": bcryptHash} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if v, _ := verifier().Verify(stored, stored); v.OK {
				t.Error("the hash works as a password")
			}
		})
	}
}

// parse reads the output of String.
func TestPHCStringRoundTrip(t *testing.T) {
	t.Parallel()
	bytes := func(r *rand.Rand, least int) []byte {
		b := make([]byte, least+r.IntN(maxEncoded-least+1))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	check := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, seed))
		p := 1 + r.Uint32N(maxThreads)
		want := argon2id{
			memory: 8*p + r.Uint32N(maxMemory-8*p+1), passes: 1 + r.Uint32N(maxPasses), threads: uint8(p),
			salt: bytes(r, minSalt), key: bytes(r, minKey),
		}
		got, err := parseArgon2id(want.String())
		return err == nil && cmp.Equal(want, got, cmp.AllowUnexported(argon2id{}))
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

// No column value causes a panic or a cost over the bounds. A value that is read as
// Argon2id is the one that String writes.
func FuzzParse(f *testing.F) {
	for _, stored := range unreadable() {
		f.Add(stored)
	}
	for _, stored := range []string{argonLight, argonParallel, argonHeavy, djangoHash, "pizza1234", "", "비밀번호", "\xff"} {
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, stored string) {
		got, err := parse(stored)
		if err != nil {
			if !errors.Is(err, ErrUnreadable) {
				t.Fatal(err)
			}
			return
		}
		switch h := got.(type) {
		case argon2id:
			if h.memory > maxMemory || h.passes < 1 || h.passes > maxPasses || h.threads < 1 || h.threads > maxThreads || len(h.key) < minKey {
				t.Errorf("out of bounds: %+v", h)
			}
			if h.String() != stored {
				t.Errorf("%q is read as %q", stored, h)
			}
		case django:
			if h.iterations < 1 || h.iterations > maxIterations || len(h.key) != 32 {
				t.Errorf("out of bounds: %+v", h)
			}
		case clearText:
			if strings.HasPrefix(stored, "$argon2") || strings.HasPrefix(stored, "pbkdf2_sha256$") {
				t.Errorf("a hash is read as clear text: %q", stored)
			}
		}
	})
}
