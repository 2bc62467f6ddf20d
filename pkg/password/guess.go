package password

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// A list of common passwords cannot contain all variants of one idea: aaaaaaab, abcdefgh1,
// pizza 123, the id with a digit. Such passwords consist of few parts. So a new password is
// also divided into the cheapest parts, and rejected if their cost is below minCost. No
// rule requires kinds of characters: a long passphrase of plain words passes.
//
// This is the method of zxcvbn (Wheeler, USENIX Security 2016), without its lists of American
// names and words. Its Go ports are not maintained, and support neither Hangul nor a Korean
// keyboard.
//
// Costs are in steps of half a decimal digit: cost/2 is about the decimal logarithm of the
// guesses that find the part.
const (
	letterCost  = 3
	signCost    = 2 // digits, blanks and the like
	wordCost    = 5 // one of some 700 common words
	endingCost  = 4 // one of some 400 common endings, at the end
	runCost     = 3 // three or more characters that are equal or neighbors
	yearCost    = 4 // 1987
	dateCost    = 9 // 19870423
	contextCost = 2 // the id, or a word of it
	repeatCost  = 2 // three or more characters again

	minCost     = 12 // a million guesses: 69 days at 10/m, the default of LOGIN_RATE_PER_ACCOUNT
	minDistinct = 4  // different characters
	minPart     = 3  // characters of a run, repeat, word, or word of the id
)

// rows are neighbors: on a keyboard, by row and column, and in the Korean alphabet.
var rows = []string{
	"1234567890", "qwertyuiop", "asdfghjkl;'", "zxcvbnm,./", "!@#$%^&*()_+", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/", "가나다라마바사아자차카타파하",
}

// isGuessable reports whether few guesses find a folded password of the member with this
// id.
func (c common) isGuessable(password, id string) bool {
	p := []rune(password)
	context := strings.FieldsFunc(id, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	context = append(context, id)
	even, odd := []rune{}, []rune{}
	for i, r := range p {
		if i%2 == 0 {
			even = append(even, r)
		} else {
			odd = append(odd, r)
		}
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(p)))
	return len(distinct) < minDistinct ||
		c.cost(p, context) < minCost ||
		c.cost(slices.Compact(slices.Clone(p)), context)+repeatCost < minCost || // aabbccdd
		c.cost(even, context)+c.cost(odd, context) < minCost // 1q2w3e4r
}

// cost returns the cost of the cheapest division of p into parts, or any number above
// minCost if that is at least minCost.
func (c common) cost(p []rune, context []string) int {
	texts := spellings(string(p)) // of one character for each of p
	least := make([]int, len(p)+1)
	for i := range p {
		least[i+1] = 1 << 30
	}
	for i := range p {
		if least[i] >= minCost {
			continue // whatever follows is dear enough
		}
		part := func(length, cost int) {
			if end := i + length; length > 0 && end <= len(p) {
				least[end] = min(least[end], least[i]+cost)
			}
		}
		if unicode.IsLetter(p[i]) {
			part(1, letterCost)
		} else {
			part(1, signCost)
		}
		for length := run(p[i:]); length >= minPart; length-- {
			part(length, runCost)
		}
		for length := repeated(p, i); length >= minPart; length-- {
			part(length, repeatCost)
		}
		if isDate("2006", p[i:min(i+4, len(p))]) {
			part(4, yearCost)
		}
		if isDate("20060102", p[i:min(i+8, len(p))]) {
			part(8, dateCost)
		}
		if contains(c.endings, string(p[i:])) {
			part(len(p)-i, endingCost)
		}
		for _, text := range texts {
			for length := minPart; length <= min(maxWord, len(p)-i); length++ {
				if contains(c.words, string(text[i:i+length])) {
					part(length, wordCost)
				}
			}
		}
		for _, word := range context {
			if w := []rune(word); len(w) >= minPart && len(w) <= len(p)-i && slices.Equal(w, p[i:i+len(w)]) {
				part(len(w), contextCost)
			}
		}
	}
	return least[len(p)]
}

// run returns the number of characters at the beginning of p that are equal, or neighbors in
// the character set or in a row, in one direction.
func run(p []rune) int {
	longest := 1
	for _, neighbors := range []func(a, b rune) bool{
		func(a, b rune) bool { return a == b },
		func(a, b rune) bool { return b == a+1 },
		func(a, b rune) bool { return b == a-1 },
		inRow,
		func(a, b rune) bool { return inRow(b, a) },
	} {
		n := 1
		for n < len(p) && neighbors(p[n-1], p[n]) {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

func inRow(a, b rune) bool {
	return slices.ContainsFunc(rows, func(row string) bool { return strings.Contains(row, string([]rune{a, b})) })
}

// repeated returns the number of characters from i on that also occur before i.
func repeated(p []rune, i int) int {
	longest := 0
	for from := range i {
		n := 0
		for i+n < len(p) && p[from+n] == p[i+n] {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

// isDate reports whether p is a day or year of the 20th or 21st century.
func isDate(layout string, p []rune) bool {
	d, err := time.Parse(layout, string(p))
	return err == nil && (d.Year()/100 == 19 || d.Year()/100 == 20)
}
