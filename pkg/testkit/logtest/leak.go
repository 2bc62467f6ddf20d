// Package logtest records the log of a program under test, and fails the test if
// the log contains a secret.
//
// Secrets are recognized in two ways: by form, for tokens, password hashes and
// addresses with a password from any source; and by value, for secrets that a test
// configures or sends, which Learn and LearnRequest add. A service under test logs
// at level debug, so that lines that are off by default are checked too.
package logtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"
)

// minSecret is the minimum length, in bytes, of a secret that is found by value: a
// shorter one is a word that also occurs elsewhere.
const minSecret = 8

// forms returns patterns of secrets from any source. None of them matches a secret
// that was shortened or redacted.
func forms() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"a JWT":                      regexp.MustCompile(`eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*`),
		"a hash of a password":       regexp.MustCompile(`\$argon2(id|i|d)\$|pbkdf2_sha256\$\d`),
		"an address with a password": regexp.MustCompile(`\w://[^\s/:@"]*:[^\s/@"]+@`),
		"a setting of a password":    regexp.MustCompile(`(?i)password=[^\s"*x]`),
		"a Bearer credential":        regexp.MustCompile(`(?i)bearer [\w.~+/-]{16,}`),
	}
}

// Leaks returns one sentence per leaked secret in a log. It contains the line, and
// the form or the beginning of the value.
func Leaks(log string, secrets ...string) []string {
	var found []string
	patterns := forms()
	maps.DeleteFunc(patterns, func(_ string, p *regexp.Regexp) bool { return !p.MatchString(log) })
	spellings := map[string]string{} // to secrets; only those that occur, because a log can be long
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

// quoted returns s as it is written in JSON.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return s
	}
	return strings.Trim(string(text), `"`)
}
