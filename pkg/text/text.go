// Package text is the one place that decides which texts are the same and which
// may be kept.
//
// Normal is the form in which texts are stored and compared: Unicode NFC, with
// every kind of blank as a space. Identifier and Label are the rules for new
// texts: an identifier is unique and typed again, so it has nothing that cannot
// be seen or that looks like something else (RFC 8264, section 9; UTS #39); a
// label is only read, so it may have what writing systems and emoji need.
// Spellings lets rows that predate these rules be found.
//
// Every rule looks at the length in bytes before it does any work that grows
// with the text.
package text

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxBytes is the largest number of bytes of which NFC can make one character:
// it composes at most 4 code points of at most 4 bytes.
const maxBytes = 16

// The rules that more than one check can name.
const (
	Required = "is required"
	NotUTF8  = "must be UTF-8"
	control  = "must not contain control characters"
)

// Normal returns the form in which a text is stored and compared.
func Normal(s string) string {
	s = norm.NFC.String(s)
	if !strings.ContainsFunc(s, isOtherBlank) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if isOtherBlank(r) {
			return ' '
		}
		return r
	}, s)
}

func isOtherBlank(r rune) bool { return r != ' ' && unicode.Is(unicode.Zs, r) }

// Key returns what texts of at most limit characters are compared by: their normal
// form. A longer text is equal to none of them and is returned as it is.
func Key(s string, limit int) string {
	if TooLong(s, limit) {
		return s
	}
	return Normal(s)
}

// Spellings returns the different forms under which a text may be stored: as it
// is, normal, and decomposed. There is only one form of plain ASCII.
func Spellings(s string) []string {
	all := []string{s}
	for _, form := range []string{Normal(s), norm.NFD.String(s)} {
		if !slices.Contains(all, form) {
			all = append(all, form)
		}
	}
	return all
}

// TooLong reports whether a text has more than limit characters in its normal
// form.
func TooLong(s string, limit int) bool {
	switch {
	case len(s) <= limit:
		return false
	case len(s) > maxBytes*limit:
		return true
	default:
		return utf8.RuneCountInString(norm.NFC.String(s)) > limit
	}
}

// LengthRule is the rule that a text of more than limit characters breaks.
func LengthRule(limit int) string { return fmt.Sprintf("must be at most %d characters", limit) }

// Trim returns a text without the blanks at its ends.
func Trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.Is(unicode.Zs, r) })
}

// Identifier returns the normal form of a new identifier, or the rule that it
// breaks. Spaces are allowed inside, one at a time (RFC 8265, section 3.5).
func Identifier(s string, limit int) (normal, rule string) {
	normal, rule = check(s, limit)
	if rule != "" {
		return "", rule
	}
	var alphabet string
	for i, r := range normal {
		switch {
		case r == ' ' && (i == 0 || i == len(normal)-1):
			return "", "must not begin or end with a blank"
		case r == ' ' && normal[i-1] == ' ':
			return "", "must not contain two blanks in a row"
		case r != ' ' && !isSeen(r) && (!unicode.IsMark(r) || isIgnorable(r)):
			return "", unseen(r)
		case i == 0 && unicode.IsMark(r):
			return "", "must not begin with a combining mark"
		case r == utf8.RuneError:
			return "", "must not contain U+FFFD, the mark of a text that was broken on its way"
		}
		if plain, is := compatible(r); is {
			return "", fmt.Sprintf("must not contain %U, which is another form of %q", r, plain)
		}
		for name, table := range lookalikes {
			switch {
			case !unicode.Is(table, r):
			case alphabet == "":
				alphabet = name
			case alphabet != name:
				first, second := min(alphabet, name), max(alphabet, name)
				return "", fmt.Sprintf("must not mix %s and %s letters, which look alike", first, second)
			}
		}
	}
	return normal, ""
}

// Label returns the normal form of a new label, or the rule that it breaks.
// Joiners and variation selectors are allowed where they follow something that
// can be seen, as in emoji and in Persian.
func Label(s string, limit int) (normal, rule string) {
	normal, rule = check(s, limit)
	if rule != "" {
		return "", rule
	}
	var seen, before bool
	for _, r := range normal {
		switch {
		case isSeen(r):
			seen, before = true, true
		case unicode.IsMark(r) && !isIgnorable(r):
		case isModifier(r) && before:
		case r == ' ':
			before = false
		default:
			return "", unseen(r)
		}
	}
	if !seen {
		return "", "must not be blank"
	}
	return normal, ""
}

// check applies the rules of all new texts.
func check(s string, limit int) (normal, rule string) {
	switch {
	case s == "":
		return "", Required
	case TooLong(s, limit):
		return "", LengthRule(limit)
	case !utf8.ValidString(s):
		return "", NotUTF8
	}
	if normal = Normal(s); strings.ContainsFunc(normal, isControl) {
		return "", control
	}
	return normal, ""
}

func unseen(r rune) string { return fmt.Sprintf("must not contain %U, which cannot be seen", r) }

func isControl(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) }

// isSeen reports whether a character has a shape of its own.
func isSeen(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !isIgnorable(r)
}

// isIgnorable reports whether a character is shown as nothing. Some of them are
// letters or symbols by their category: the Hangul fillers and the empty Braille
// pattern.
func isIgnorable(r rune) bool {
	const emptyBraille = 0x2800
	return r == emptyBraille || unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// isModifier reports whether an invisible character changes the look of its
// neighbors: the two joiners and the variation selectors.
func isModifier(r rune) bool {
	return unicode.Is(unicode.Join_Control, r) || unicode.Is(unicode.Variation_Selector, r)
}

// compatible returns the text that a compatibility character stands for (NFKC).
// Some of them are how a language is typed and look like nothing else: the single
// Hangul letters, and the vowel "am" of Thai and Lao.
func compatible(r rune) (plain string, is bool) {
	const firstHangul, lastHangul, thaiAm, laoAm = 0x3131, 0x318e, 0x0e33, 0x0eb3
	if r < utf8.RuneSelf || firstHangul <= r && r <= lastHangul || r == thaiAm || r == laoAm {
		return "", false
	}
	plain = norm.NFKC.String(string(r))
	return plain, plain != norm.NFC.String(string(r))
}

// lookalikes are the alphabets with letters of the same shape.
var lookalikes = map[string]*unicode.RangeTable{
	"Latin": unicode.Latin, "Greek": unicode.Greek, "Cyrillic": unicode.Cyrillic,
	"Armenian": unicode.Armenian, "Cherokee": unicode.Cherokee, "Coptic": unicode.Coptic, "Lisu": unicode.Lisu,
}
