package httpapi

import (
	"strings"
	"testing"

	"example.com/pizza/pkg/fault"
)

func TestReadKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ header, want string }{
		"bare":             {"8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		"quoted":           {`"8e03978e-40d5-43dd-bc93-6894a57f9324"`, "8e03978e-40d5-43dd-bc93-6894a57f9324"},
		"escaped":          {`"a\"b\\c"`, `a"b\c`},
		"bare_punctuation": {`a,b;c="d"\e`, `a,b;c="d"\e`},
		"space_around":     {" \t k\t ", "k"},
		"shortest":         {"k", "k"},
		"longest":          {strings.Repeat("k", 255), strings.Repeat("k", 255)},
		"longest_escaped":  {`"` + strings.Repeat(`\\`, 255) + `"`, strings.Repeat(`\`, 255)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := readKey(&test.header); got != test.want || err != nil {
				t.Errorf("%q is read as %q: %v", test.header, got, err)
			}
		})
	}
	if key, err := readKey(nil); key != "" || err != nil {
		t.Errorf("no header is read as %q: %v", key, err)
	}
}

func TestReadKeyRefuses(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"empty":                ``,
		"blank":                "  \t",
		"empty_quoted":         `""`,
		"too_long":             strings.Repeat("k", 256),
		"too_long_quoted":      `"` + strings.Repeat("k", 256) + `"`,
		"not_closed":           `"k`,
		"one_quote":            `"`,
		"closed_by_an_escape":  `"k\"`,
		"unknown_escape":       `"\k"`,
		"escape_at_the_end":    `"k\`,
		"text_after_the_quote": `"k" x`,
		"parameter":            `"k";a=1`,
		"list":                 `"k", "l"`,
		"bare_list":            `k, l`,
		"space_inside":         `"k l"`,
		"control_character":    "k\x7f",
		"not_ascii":            "피자",
		"not_utf8":             "k\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if key, err := readKey(&header); fault.CodeOf(err) != fault.Invalid || key != "" || !strings.Contains(err.Error(), "Idempotency-Key") {
				t.Errorf("%q is read as %q: %v", header, key, err)
			}
		})
	}
}

// Any header is rejected as invalid or read as a key that the table can store.
// The key, quoted as in the draft, is read as the same key.
func FuzzReadKey(f *testing.F) {
	for _, seed := range []string{`k`, `"k"`, `"a\"b\\c"`, `"k`, `"k";a`, "\xff", ` k `, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, err := readKey(&header)
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid {
				t.Errorf("%q: %v", header, err)
			}
			return
		}
		if len(key) < 1 || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is read as %q", header, key)
		}
		quoted := `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(key) + `"`
		if again, err := readKey(&quoted); again != key || err != nil {
			t.Errorf("%q is the key %q, but quoted %q: %v", header, key, again, err)
		}
	})
}
