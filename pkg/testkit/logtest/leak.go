// Package logtest keeps what a program logs in a test, and fails the test when a
// secret is in it.
//
// What is secret is known in two ways: by form, for tokens, hashes of passwords
// and addresses with a password, wherever they come from; and by value, for
// what a test configures or sends, which Learn and LearnRequest are told. A
// service under test logs at the level debug, so that the lines which nobody reads
// by default are looked at too.
package logtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
)

// minSecret is the least length, in bytes, of what counts as a secret by its
// value: a shorter one is a word that stands in other places too.
const minSecret = 8

// forms returns what is a secret wherever it comes from. None of them holds a
// secret that was shortened or blanked.
func forms() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"a JWT":                      regexp.MustCompile(`eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*`),
		"a hash of a password":       regexp.MustCompile(`\$argon2(id|i|d)\$|pbkdf2_sha256\$\d`),
		"an address with a password": regexp.MustCompile(`\w://[^\s/:@"]*:[^\s/@"]+@`),
		"a setting of a password":    regexp.MustCompile(`(?i)password=[^\s"*x]`),
		"a Bearer credential":        regexp.MustCompile(`(?i)bearer [\w.~+/-]{16,}`),
	}
}

// Leaks returns what is secret in a log, as a sentence each, which names the line
// and the form or the beginning of the value.
func Leaks(log string, secrets ...string) []string {
	var found []string
	patterns := forms()
	maps.DeleteFunc(patterns, func(_ string, p *regexp.Regexp) bool { return !p.MatchString(log) })
	spellings := map[string]string{} // to what is secret; those alone that are there at all: a log may be long
	for _, secret := range secrets {
		for _, spelling := range []string{secret, quoted(secret), url.QueryEscape(secret), url.PathEscape(secret)} {
			if len(secret) >= minSecret && strings.Contains(log, spelling) {
				spellings[spelling] = secret
			}
		}
	}
	if len(patterns)+len(spellings) == 0 {
		return nil
	}
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line)
		for what, pattern := range patterns {
			if pattern.MatchString(line) {
				found = append(found, fmt.Sprintf("%s is in the log: %s", what, line))
			}
		}
		for spelling, secret := range spellings {
			if strings.Contains(line, spelling) {
				found = append(found, fmt.Sprintf("the secret %.3s… is in the log: %s", secret, line))
				break
			}
		}
	}
	return found
}

// quoted is a text as it stands in JSON.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return strings.Trim(string(text), `"`)
}
