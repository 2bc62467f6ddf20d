// Package password creates and checks the stored form of passwords. It knows no
// member and no table.
//
// New forms are Argon2id (RFC 9106) in the PHC string format, which fits a
// VARCHAR(100). Two older forms of a database that was taken over verify too, and
// count as outdated: clear text, and Django's pbkdf2_sha256. The latter is also made
// while the old system must be able to check new passwords.
//
// # Refusals that look alike
//
// A refusal takes at least the work of one new hash: for an unknown id, clear text,
// an unreadable hash, and Argon2id of any lower cost alike. The work is equal, so
// there is no time to guess, a busy machine slows all refusals alike, and a test
// can count. Only a dearer stored hash takes longer, such as Django's of 1,000,000
// iterations (165 ms against 25 ms), until its member logs in and it is replaced.
// Raising all refusals to that would make every wrong password as dear for years,
// to hide a fact that registration reveals anyway: that an id is taken.
//
// A stored hash never works as a password: a value that looks like a hash of any
// known kind is not compared as text, even if that kind is unsupported.
//
// # Unicode
//
// Passwords are hashed in the form NFKC (NIST SP 800-63B: "the Normalization
// Process for Stabilized Strings using either NFKC or NFKD"), because the same
// text arrives composed from one keyboard and decomposed, or in full width, from
// another. Older forms were not normalized: a password whose normal form differs is
// also tried as it was sent. That depends on the sent text alone, so it does not
// reveal members.
package password

import (
	"crypto/rand"

	"golang.org/x/text/unicode/norm"
)

// MaxTried is the maximum length of a password at login, in bytes. No stored form
// has a longer one: Django has the same bound since CVE-2013-1443.
const MaxTried = 4096

// Normal returns the form of a password that is hashed.
func Normal(password string) string { return norm.NFKC.String(password) }

// Hash returns the stored form of a password.
func (c Cost) Hash(password string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails; crypto/rand crashes the process instead
	h := argon2id{memory: c.Memory, passes: c.Passes, threads: 1, salt: salt}
	h.key = h.derive(Normal(password), keyLength)
	return h.String()
}

// Verifier checks passwords against stored forms.
type Verifier struct {
	Cost Cost      // of new hashes
	Ran  func(Run) // called after each key derivation; nil for none
}

// Verdict is the result of Verify.
type Verdict struct {
	OK       bool
	Outdated bool // with OK: Cost.Hash makes a better form
}

// Verify reports whether stored is a form of this password. An empty stored form,
// that of an unknown id, matches no password. Verify returns ErrUnreadable for an
// unsupported hash, after the same work.
func (v Verifier) Verify(stored, password string) (Verdict, error) {
	f, err := parse(stored)
	if err != nil {
		f = clearText("")
	}
	normal := Normal(password)
	if v.try(f, normal) {
		return Verdict{OK: true, Outdated: f.isOutdated(v.Cost)}, err
	}
	// Other systems stored passwords without normalization.
	if normal != password && v.try(f, password) {
		return Verdict{OK: true, Outdated: true}, err
	}
	return Verdict{}, err
}

// cheapIterations is the number of iterations below which a hash of Django takes less
// than an Argon2id hash of the recommended cost: about 165 ms for a million against
// 25 ms. It scales with the cost.
const cheapIterations = 200_000

// try checks one spelling of the password, and pads the work of a refusal.
func (v Verifier) try(f form, password string) bool {
	if v.run(f, password) {
		return true
	}
	switch function, own := f.work(); {
	case function != PBKDF2:
		v.pad(password, own)
	case own*Recommended().Work() < cheapIterations*v.Cost.Work():
		v.pad(password, 0)
	}
	return false
}
