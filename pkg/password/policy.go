package password

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The bounds of the length of a new password, in characters of its form NFKC.
const (
	// MinLength is the default minimum, and the smallest that can be configured. NIST SP
	// 800-63B-4 (section 3.1.1.2) asks for 8, and for 15 if the password is the only factor;
	// OWASP ASVS 5 (6.2.1) asks for 8 and recommends 15. The default is 8 because existing
	// web clients promise it to their users, and because the list of common passwords and
	// the bounded hashing stop guessing first. PASSWORD_MIN_LENGTH=15 follows NIST to the
	// letter.
	MinLength = 8
	// MaxLength keeps the work of a hash small. NIST: at least 64.
	MaxLength = 128
	// maxBytes exceeds the size of MaxLength characters in any typed form: a decomposed
	// Hangul syllable has three characters of three bytes.
	maxBytes = MaxLength * 3 * 4
	// maxLeast is the largest minimum that does not exclude people.
	maxLeast = 64
	// maxBlocklist bounds the memory of a list, in bytes of the file.
	maxBlocklist = 32 << 20
)

// PolicyConfig configures a Policy.
type PolicyConfig struct {
	MinLength int    `env:"PASSWORD_MIN_LENGTH" envDefault:"8" rule:"min=8,max=64" doc:"Minimum length of a new password in characters, from 8 to 64; NIST SP 800-63B-4 asks for 15 if the password is the only factor"`
	Blocklist string `env:"PASSWORD_BLOCKLIST" doc:"File of further passwords that are rejected as common, one per line, at most 32 MiB, read once; empty uses the built-in list alone"`
}

// Validate reports a length out of bounds, and a list that cannot be read.
func (c PolicyConfig) Validate() error {
	var bad []error
	if c.MinLength < MinLength || c.MinLength > maxLeast {
		bad = append(bad, fmt.Errorf("PASSWORD_MIN_LENGTH must be from %d to %d", MinLength, maxLeast))
	}
	if c.Blocklist != "" {
		file, err := os.Stat(c.Blocklist)
		if err != nil || !file.Mode().IsRegular() || file.Size() > maxBlocklist {
			bad = append(bad, fmt.Errorf("PASSWORD_BLOCKLIST must be a file of at most %d bytes", maxBlocklist))
		}
	}
	return errors.Join(bad...)
}

// Policy is the rule for new passwords (NIST SP 800-63B): long enough, and not easy to
// guess. It has no rules on kinds of characters, and does not apply at login.
type Policy struct {
	least   int
	common  common
	blocked map[string]struct{}
}

// NewPolicy returns the policy of a configuration, and reads its list.
func NewPolicy(c PolicyConfig) (*Policy, error) {
	p := &Policy{least: c.MinLength, common: readCommon(commonText), blocked: map[string]struct{}{}}
	if c.Blocklist == "" {
		return p, nil
	}
	text, err := os.ReadFile(c.Blocklist)
	if err != nil {
		return nil, fmt.Errorf("PASSWORD_BLOCKLIST: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		// Shorter ones are rejected for their length.
		if entry := fold(strings.TrimRight(line, "\r\n")); utf8.RuneCountInString(entry) >= c.MinLength {
			p.blocked[entry] = struct{}{}
		}
	}
	return p, nil
}

// Rule returns the rule that a new password of the member with this id breaks, or "".
// Characters are counted as sent and as hashed: neither may be too few. Bytes are counted
// first, because the hashed form may be many times as long.
func (p *Policy) Rule(password, id string) string {
	switch {
	case password == "":
		return "is required"
	case len(password) > maxBytes:
		return fmt.Sprintf("must be at most %d characters", MaxLength)
	}
	came, hashed := utf8.RuneCountInString(password), normalLength(password)
	switch {
	case min(came, hashed) < p.least:
		return fmt.Sprintf("must be at least %d characters", p.least)
	case hashed > MaxLength:
		return fmt.Sprintf("must be at most %d characters", MaxLength)
	}
	folded, foldedID := fold(password), fold(id[:min(len(id), maxBytes)])
	switch {
	case folded == foldedID:
		return "must not be the id"
	case p.common.has(folded) || contains(p.blocked, folded):
		return "is one of the most common passwords"
	case p.common.isGuessable(folded, foldedID):
		return "is too easy to guess: it repeats, counts up, or is little more than a common word or the id"
	}
	return ""
}

// normalLength returns the number of characters of the normal form, or a number above
// MaxLength: one character can become 18.
func normalLength(password string) (n int) {
	var form norm.Iter
	form.InitString(norm.NFKC, password)
	for !form.Done() && n <= MaxLength {
		n += utf8.RuneCount(form.Next())
	}
	return n
}
