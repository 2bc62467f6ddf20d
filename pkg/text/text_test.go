package text_test

import (
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"example.com/pizza/pkg/text"
)

const limit = 10

// An identifier has no character that is invisible or looks like another one.
func TestIdentifier(t *testing.T) {
	t.Parallel()
	const (
		ends    = "must not begin or end with a blank"
		control = "must not contain control characters"
		long    = "must be at most 10 characters"
	)
	for name, test := range map[string]struct{ in, want, rule string }{
		"plain":                    {"demo", "demo", ""},
		"korean":                   {"김민지", "김민지", ""},
		"korean_decomposed":        {norm.NFD.String("김민지"), "김민지", ""},
		"korean_letters":           {"ㅋㅋㅋ", "ㅋㅋㅋ", ""},
		"accent_decomposed":        {"jose\u0301", "josé", ""},
		"accent_without_composite": {"q\u0303x", "q\u0303x", ""},
		"emoji":                    {"🍕🍺", "🍕🍺", ""},
		"punctuation":              {"'; DROP--", "'; DROP--", ""},
		"blank_inside":             {"kim minji", "kim minji", ""},
		"thai":                     {"น้ำใส", "น้ำใส", ""},
		"longest":                  {strings.Repeat("피", limit), strings.Repeat("피", limit), ""},
		"longest_decomposed":       {norm.NFD.String(strings.Repeat("각", limit)), strings.Repeat("각", limit), ""},
		"empty":                    {"", "", "is required"},
		"too_long":                 {strings.Repeat("피", limit+1), "", long},
		"far_too_long":             {strings.Repeat("x", 100_000), "", long},
		"far_too_long_and_broken":  {strings.Repeat("\xff", 100_000), "", long},
		"not_utf8":                 {"a\xff", "", "must be UTF-8"},
		"blank_before":             {" demo", "", ends},
		"blank_behind":             {"demo\u3000", "", ends},
		"blank":                    {" ", "", ends},
		"two_blanks":               {"kim  min", "", "must not contain two blanks in a row"},
		"two_kinds_of_blanks":      {"kim \u00a0m", "", "must not contain two blanks in a row"},
		"other_blank_is_a_space":   {"kim\u00a0min", "kim min", ""},
		"line_end":                 {"de\nmo", "", control},
		"line_separator":           {"de\u2028mo", "", control},
		"nul":                      {"de\x00mo", "", control},
		"c1":                       {"de\u0085mo", "", control},
		"zero_width_space":         {"de\u200bmo", "", "must not contain U+200B, which cannot be seen"},
		"zero_width_joiner":        {"de\u200dmo", "", "must not contain U+200D, which cannot be seen"},
		"byte_order_mark":          {"\ufeffdemo", "", "must not contain U+FEFF, which cannot be seen"},
		"soft_hyphen":              {"de\u00admo", "", "must not contain U+00AD, which cannot be seen"},
		"right_to_left_override":   {"\u202eomed", "", "must not contain U+202E, which cannot be seen"},
		"isolate":                  {"de\u2066mo", "", "must not contain U+2066, which cannot be seen"},
		"arabic_letter_mark":       {"de\u061cmo", "", "must not contain U+061C, which cannot be seen"},
		"hangul_filler":            {"\u3164", "", "must not contain U+3164, which cannot be seen"},
		"hangul_choseong_filler":   {"a\u115f", "", "must not contain U+115F, which cannot be seen"},
		"half_width_filler":        {"a\uffa0", "", "must not contain U+FFA0, which cannot be seen"},
		"empty_braille":            {"a\u2800", "", "must not contain U+2800, which cannot be seen"},
		"grapheme_joiner":          {"a\u034fb", "", "must not contain U+034F, which cannot be seen"},
		"variation_selector":       {"a\ufe0f", "", "must not contain U+FE0F, which cannot be seen"},
		"tag":                      {"a\U000e0061", "", "must not contain U+E0061, which cannot be seen"},
		"private_use":              {"a\ue000", "", "must not contain U+E000, which cannot be seen"},
		"unassigned":               {"a\u0378", "", "must not contain U+0378, which cannot be seen"},
		"noncharacter":             {"a\uffff", "", "must not contain U+FFFF, which cannot be seen"},
		"mark_alone":               {"\u0301", "", "must not begin with a combining mark"},
		"replacement_character":    {"a\ufffd", "", "must not contain U+FFFD, the mark of a text that was broken on its way"},
		"full_width":               {"ｄemo", "", `must not contain U+FF44, which is another form of "d"`},
		"ligature":                 {"ﬁx", "", `must not contain U+FB01, which is another form of "fi"`},
		"angstrom":                 {"\u212b", "Å", ""},
		"cyrillic_in_latin":        {"dеmo", "", "must not mix Cyrillic and Latin letters, which look alike"},
		"cyrillic":                 {"демо", "демо", ""},
		"greek_in_latin":           {"demο", "", "must not mix Greek and Latin letters, which look alike"},
		"latin_and_korean":         {"kim김", "kim김", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, rule := text.Identifier(test.in, limit)
			if got != test.want || rule != test.rule {
				t.Errorf("%+q: %+q, %q; want %+q, %q", test.in, got, rule, test.want, test.rule)
			}
		})
	}
}

// A label is visible, and does not reverse the text around it.
func TestLabel(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ in, want, rule string }{
		"plain":                    {"Kim Minji", "Kim Minji", ""},
		"decomposed":               {norm.NFD.String("불고기"), "불고기", ""},
		"other_blanks_are_spaces":  {"a\u00a0b\u3000c", "a b c", ""},
		"compatibility_characters": {"½ Pizza™", "½ Pizza™", ""},
		"emoji_with_joiners":       {"👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧", ""},
		"emoji_with_selector":      {"민지❤\ufe0f", "민지❤\ufe0f", ""},
		"persian_non_joiner":       {"می\u200cخواهم", "می\u200cخواهم", ""},
		"arabic":                   {"محمد", "محمد", ""},
		"replacement_character":    {"a\ufffd", "a\ufffd", ""},
		"empty":                    {"", "", "is required"},
		"too_long":                 {strings.Repeat("이", limit+1), "", "must be at most 10 characters"},
		"blank":                    {" \u3000", "", "must not be blank"},
		"marks_alone":              {"\u0301", "", "must not be blank"},
		"line_end":                 {"Kim\r\nMin", "", "must not contain control characters"},
		"paragraph_separator":      {"Kim\u2029", "", "must not contain control characters"},
		"hangul_filler_alone":      {"\u3164", "", "must not contain U+3164, which cannot be seen"},
		"zero_width_space":         {"Kim\u200b", "", "must not contain U+200B, which cannot be seen"},
		"joiner_alone":             {"\u200d", "", "must not contain U+200D, which cannot be seen"},
		"joiner_after_a_blank":     {"a \u200d", "", "must not contain U+200D, which cannot be seen"},
		"selector_alone":           {"\ufe0f", "", "must not contain U+FE0F, which cannot be seen"},
		"right_to_left_override":   {"Kim\u202e", "", "must not contain U+202E, which cannot be seen"},
		"left_to_right_mark":       {"Kim\u200e", "", "must not contain U+200E, which cannot be seen"},
		"isolate":                  {"\u2067Kim", "", "must not contain U+2067, which cannot be seen"},
		"empty_braille":            {"\u2800\u2800", "", "must not contain U+2800, which cannot be seen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, rule := text.Label(test.in, limit)
			if got != test.want || rule != test.rule {
				t.Errorf("%+q: %+q, %q; want %+q, %q", test.in, got, rule, test.want, test.rule)
			}
		})
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	composed, decomposed := "김é", norm.NFD.String("김é")
	for in, want := range map[string][]string{
		"":          {""},
		"demo":      {"demo"},
		composed:    {composed, decomposed},
		decomposed:  {decomposed, composed},
		"\u212b":    {"\u212b", "Å", "A\u030a"},
		"a\u3000b":  {"a\u3000b", "a b"},
		"\xffbroke": {"\xffbroke"},
	} {
		if diff := cmp.Diff(want, text.Spellings(in)); diff != "" {
			t.Errorf("%+q: %s", in, diff)
		}
	}
}

// The length in bytes is checked before any work that grows with the text: without
// the allocations of normalizing, it was not normalized.
func TestLengthComesFirst(t *testing.T) { //nolint:paralleltest // others would allocate meanwhile
	long := strings.Repeat(norm.NFD.String("각"), 1_000_000)
	var before, after runtime.MemStats
	for name, rule := range map[string]func(string, int) (string, string){"identifier": text.Identifier, "label": text.Label} {
		runtime.ReadMemStats(&before)
		_, got := rule(long, limit)
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; got != "must be at most 10 characters" || spent > 100_000 {
			t.Errorf("%s: %q after %d bytes of work", name, got, spent)
		}
	}
}

// Accepted text is normalized, visible, within its length, and accepted again
// unchanged.
func FuzzText(f *testing.F) {
	for _, s := range []string{"demo", "de\u200bmo", "김민지", norm.NFD.String("김민지"), "dеmo", "👨\u200d👩", "ﷺ", "\xff", " a ", "½", "\u1e9b\u0323"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, rule := range map[string]func(string, int) (string, string){"identifier": text.Identifier, "label": text.Label} {
			got, broken := rule(s, 100)
			if broken != "" {
				continue
			}
			if n := utf8.RuneCountInString(got); n < 1 || n > 100 || !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) {
				t.Errorf("%s %+q becomes %+q", name, s, got)
			}
			if strings.ContainsFunc(got, unicode.IsControl) || strings.ContainsFunc(got, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
				t.Errorf("%s %+q is accepted", name, got)
			}
			if again, broken := rule(got, 100); again != got || broken != "" {
				t.Errorf("%s %+q is accepted, and then %+q, %q", name, got, again, broken)
			}
			if !cmp.Equal(text.Normal(s), got) {
				t.Errorf("%s %+q is kept as %+q and looked up as %+q", name, s, got, text.Normal(s))
			}
		}
		if n := text.Normal(s); text.Normal(n) != n {
			t.Errorf("%+q becomes %+q and then %+q", s, n, text.Normal(n))
		}
	})
}
