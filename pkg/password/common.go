package password

import (
	_ "embed" // for commonText
	"strings"
	"unicode/utf8"
)

// commonText is explained at its beginning.
//
//go:embed common.txt
var commonText string

// maxEnding is the longest ending of a common word, in bytes.
const maxEnding = 10

// common is the set of the most common passwords, kept as what they are made of.
type common struct{ words, endings, whole map[string]struct{} }

func readCommon(text string) common {
	c := common{map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}}
	var set map[string]struct{}
	for line := range strings.Lines(text) {
		switch line = strings.TrimSpace(line); {
		case line == "#" || strings.HasPrefix(line, "# "):
		case line == "[words]":
			set = c.words
		case line == "[endings]":
			set = c.endings
		case line == "[whole]":
			set = c.whole
		default:
			for _, entry := range strings.Fields(line) {
				set[fold(entry)] = struct{}{}
			}
		}
	}
	return c
}

// fold makes passwords alike that are compared as the same.
func fold(password string) string { return strings.ToLower(Normal(password)) }

// has says whether a folded password is in the set.
func (c common) has(p string) bool {
	if contains(c.whole, p) || isRun(p) || c.isWord(p) {
		return true
	}
	if half := len(p) / 2; len(p)%2 == 0 && p[:half] == p[half:] && c.isWord(p[:half]) {
		return true
	}
	for n := 1; n <= min(maxEnding, len(p)-1); n++ {
		if contains(c.endings, p[len(p)-n:]) && c.isWord(p[:len(p)-n]) {
			return true
		}
	}
	return false
}

// isWord says whether p is a common word, or one with the usual digits and signs
// in the place of letters.
func (c common) isWord(p string) bool {
	if contains(c.words, p) {
		return true
	}
	const rest = "0o3e4a5s7t@a$s"
	for _, one := range []string{"1i!i", "1l!l"} {
		if contains(c.words, strings.NewReplacer(strings.Split(one+rest, "")...).Replace(p)) {
			return true
		}
	}
	return false
}

// isRun says whether p is one character again and again, or characters in the
// order of the alphabet or against it.
func isRun(p string) bool {
	first, size := utf8.DecodeRuneInString(p)
	last, step, n := first, rune(0), 0
	for _, r := range p[size:] {
		if d := r - last; n == 0 {
			step = d
		} else if d != step {
			return false
		}
		last = r
		n++
	}
	return n > 0 && step >= -1 && step <= 1
}

func contains(set map[string]struct{}, s string) bool {
	_, ok := set[s]
	return ok
}
