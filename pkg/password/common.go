package password

import (
	_ "embed" // for commonText
	"slices"
	"strings"
)

// commonText describes its format in its first lines.
//
//go:embed common.txt
var commonText string

const (
	maxEnding = 10 // bytes of an ending of a common word
	maxWord   = 16 // characters of a common word
)

// common is the set of the most common passwords, stored as their parts.
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

// fold returns the form of a password for comparison.
func fold(password string) string { return strings.ToLower(Normal(password)) }

// has reports whether a folded password is in the set.
func (c common) has(p string) bool {
	if contains(c.whole, p) || c.isWord(p) {
		return true
	}
	for n := 1; n <= min(maxEnding, len(p)-1); n++ {
		if contains(c.endings, p[len(p)-n:]) && c.isWord(p[:len(p)-n]) {
			return true
		}
	}
	return false
}

func (c common) isWord(p string) bool {
	return slices.ContainsFunc(spellings(p), func(text []rune) bool { return contains(c.words, string(text)) })
}

var leet = []*strings.Replacer{
	strings.NewReplacer("1", "i", "!", "i", "0", "o", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s"),
	strings.NewReplacer("1", "l", "!", "l", "0", "o", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s"),
}

// spellings returns p, and p with letters in place of the usual digits and signs, character
// by character.
func spellings(p string) [][]rune {
	all := [][]rune{[]rune(p)}
	for _, r := range leet {
		if text := r.Replace(p); text != p {
			all = append(all, []rune(text))
		}
	}
	return all
}

func contains(set map[string]struct{}, s string) bool {
	_, ok := set[s]
	return ok
}
