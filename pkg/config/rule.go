package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Rule is the rule of the text of one variable. Load and the schemas of the charts, which
// are generated from it, compare with the same patterns.
type Rule struct {
	// Patterns are regular expressions (RE2, and ECMA 262 for JSON Schema). The
	// text must match all of them.
	Patterns []string
	// Words complete the sentence "NAME must be …".
	Words string
	// List marks a variable of several texts, separated by commas. The rule applies to
	// each text.
	List bool
}

// patterned is implemented by types that parse text.
type patterned interface {
	// Pattern returns the regular expression of a valid text, and words that
	// complete the sentence "NAME must be …".
	Pattern() (pattern, words string)
}

// The patterns of values other than numbers.
const (
	durationPattern = `^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$`
	notZero         = `[1-9]`
	fractionPattern = `^(0(\.[0-9]+)?|1(\.0+)?)$`
	levelPattern    = `^(debug|info|warn|error|DEBUG|INFO|WARN|ERROR)$`
	networkPattern  = `^[0-9a-fA-F.:]+/[1-9][0-9]{0,2}$` // /0 would be everybody
	// originPattern matches an Origin header (RFC 6454, section 6.1), or *.
	originPattern = `^(\*|https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?)$`
)

// ruleOf returns the rule of a field: that of its type, narrowed by its tag. The
// tag lists, separated by commas:
//
//	min=N, max=N   bounds of a whole number
//	positive       longer than 0s, or above 0
//	oneof=a|b      one of some texts
//	url=a|b        an address with one of these schemes
//	origin         an origin as browsers send it, or *
//
// A field whose type has no rule, and without a tag, accepts any text.
func ruleOf(f reflect.StructField) Rule {
	tag := parseTag(f.Tag.Get("rule"))
	of := f.Type
	r := Rule{}
	switch of.Kind() { //nolint:exhaustive // the others are values themselves
	case reflect.Slice:
		r.List, of = true, of.Elem()
	case reflect.Pointer: // nil when not given
		of = of.Elem()
	}
	_, positive := tag["positive"]
	switch v := reflect.New(of).Interface().(type) {
	case patterned:
		p, words := v.Pattern()
		r.Patterns, r.Words = []string{p}, words
		return r
	case *slog.Level:
		r.Patterns, r.Words = []string{levelPattern}, "debug, info, warn or error"
		return r
	case *netip.Prefix:
		r.Patterns, r.Words = []string{networkPattern}, "an address range, such as 10.0.0.0/8 or fd00::/8"
		return r
	case *time.Duration:
		r.Patterns, r.Words = []string{durationPattern}, "a duration, such as 5s"
		if positive {
			r.Patterns, r.Words = append(r.Patterns, notZero), "a duration longer than 0s, such as 5s"
		}
		return r
	}
	switch of.Kind() { //nolint:exhaustive // the kinds that settings have
	case reflect.Bool:
		tag = map[string]string{"oneof": "true|false"}
	case reflect.Int, reflect.Int32, reflect.Uint, reflect.Uint16, reflect.Uint32:
		return wholeNumber(r, tag)
	case reflect.Float64:
		r.Patterns, r.Words = []string{fractionPattern}, "a number from 0 to 1"
		if positive {
			r.Patterns, r.Words = append(r.Patterns, notZero), "a number above 0 and at most 1"
		}
		return r
	}
	return text(r, tag)
}

// text applies the tags of a text field.
func text(r Rule, tag map[string]string) Rule {
	if options, ok := tag["oneof"]; ok {
		r.Patterns = []string{"^(" + options + ")$"}
		r.Words = enumerate(strings.Split(options, "|"))
	}
	if schemes, ok := tag["url"]; ok {
		r.Patterns = []string{"^(" + schemes + `)://[^/\s]+`}
		r.Words = "an address that begins with " + strings.ReplaceAll(schemes, "|", ":// or ") + "://"
	}
	if _, ok := tag["origin"]; ok {
		r.Patterns, r.Words = []string{originPattern}, "an origin without a path, such as https://pizza.example, or *"
	}
	return r
}

// parseTag splits "a=1,b" into its parts.
func parseTag(tag string) map[string]string {
	parts := map[string]string{}
	for part := range strings.SplitSeq(tag, ",") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	return parts
}

func wholeNumber(r Rule, tag map[string]string) Rule {
	r.Patterns, r.Words = []string{`^(0|[1-9][0-9]*)$`}, "a whole number"
	least, bounded := tag["min"]
	if bounded && least != "0" {
		r.Patterns = append(r.Patterns, atLeast(least))
		r.Words = "a whole number of at least " + least
	}
	if most, ok := tag["max"]; ok {
		r.Patterns = append(r.Patterns, atMost(most))
		r.Words = fmt.Sprintf("a whole number from %s to %s", cmp.Or(least, "0"), most)
	}
	return r
}

// atLeast matches the whole numbers, written without leading zeros, that are not
// less than n.
func atLeast(n string) string {
	options := []string{fmt.Sprintf("[1-9][0-9]{%d,}", len(n)), n}
	for i, digit := range n {
		if digit < '9' {
			options = append(options, fmt.Sprintf("%s[%c-9][0-9]{%d}", n[:i], digit+1, len(n)-i-1))
		}
	}
	return "^(" + strings.Join(options, "|") + ")$"
}

// atMost matches the whole numbers, written without leading zeros, that are not
// more than n.
func atMost(n string) string {
	options := []string{n}
	if len(n) > 1 {
		options = append(options, fmt.Sprintf("[0-9]{1,%d}", len(n)-1))
	}
	for i, digit := range n {
		if digit > '0' {
			options = append(options, fmt.Sprintf("%s[0-%c][0-9]{%d}", n[:i], digit-1, len(n)-i-1))
		}
	}
	return "^(" + strings.Join(options, "|") + ")$"
}

func enumerate(options []string) string {
	last := len(options) - 1
	if last == 0 {
		return options[0]
	}
	return strings.Join(options[:last], ", ") + " or " + options[last]
}

// check returns the rule that a text breaks, to be read after the name of its variable, or
// "".
func (r Rule) check(text string) string {
	texts := []string{text}
	if r.List {
		texts = strings.Split(text, ",")
	}
	for i, t := range texts {
		for _, p := range r.Patterns {
			switch good := regexp.MustCompile(p).MatchString(t); {
			case !good && r.List:
				return fmt.Sprintf(": entry %d must be %s", i+1, r.Words)
			case !good:
				return " must be " + r.Words
			}
		}
	}
	return ""
}
