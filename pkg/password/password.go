// Package password is the stored form of passwords: how it is made, checked and
// told from others. It knows no member and no table.
//
// New ones are Argon2id (RFC 9106) in the PHC string format, which fits a
// VARCHAR(100). Two older forms of a database that was taken over verify too,
// and count as outdated: clear text, and Django's pbkdf2_sha256.
//
// # Refusals that look alike
//
// A Verifier gives a right password the work of its own form and no more: its
// owner may know it. Every refusal does the same work, whatever the reason: an
// unknown id, clear text, a light or a heavy Argon2id hash, a hash of Django's (of
// 1,000,000 iterations: 165 ms against 25 ms), or an unreadable one. The work is
// equal, not the time: as many KiB-passes of Argon2id and as many iterations of
// PBKDF2 as the Ceiling says, and at least one hash of today's Cost. A form does its
// own share, and the rest is done on nothing. So there is no time to guess, a busy
// machine slows all refusals alike, and a test can count. The price: once the
// Ceiling has a hash of Django's, every refusal takes as long as that, and with a
// hash of 64 MiB, as much memory. The threads of a hash with p > 1 are not leveled;
// this package makes none.
//
// A stored hash never works as a password: what looks like a hash of any known
// kind is not compared as text, even where it is of a kind that is not read
// here.
//
// # Unicode
//
// Passwords are hashed in the form NFKC (NIST SP 800-63B: "the Normalization
// Process for Stabilized Strings using either NFKC or NFKD"), because the same
// text arrives composed from one keyboard and decomposed, or in full width, from
// another. What was stored before, or by others, was not normalized: a password
// whose normal form is another text is tried as it came, too. Whether it is
// depends on the caller's text alone, so this does not tell members apart.
package password

import (
	"crypto/rand"

	"golang.org/x/text/unicode/norm"
)

// MaxTried is the most bytes of a password that is tried. No stored form has more:
// Django has the same bound, since CVE-2013-1443, and the other forms less.
const MaxTried = 4096

// Normal returns the text that is hashed for a password.
func Normal(password string) string { return norm.NFKC.String(password) }

// Hash returns the form in which a password is stored.
func (c Cost) Hash(password string) string {
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	h := argon2id{memory: c.Memory, passes: c.Passes, threads: 1, salt: salt}
	h.key = h.derive(Normal(password), keyLength)
	return h.String()
}

// Verifier checks passwords against stored forms.
type Verifier struct {
	Cost    Cost    // of new hashes
	Ceiling Ceiling // that refusals are leveled to
	Ran     func(Run)
}

// Verdict is what a Verifier has to say.
type Verdict struct {
	OK       bool
	Outdated bool // with OK: Cost.Hash would make a better form
}

// Verify says whether stored is a form of this password. An empty stored form,
// of a member that does not exist, is the form of no password. It returns
// ErrUnreadable, after the same work, for a stored hash that is not read here.
func (v Verifier) Verify(stored, password string) (Verdict, error) {
	f, err := parse(stored)
	if err != nil {
		f = nothing{}
	}
	normal := Normal(password)
	if v.try(f, normal) {
		return Verdict{OK: true, Outdated: f.outdated(v.Cost)}, err
	}
	// As it came: what others stored was not normalized.
	if normal != password && v.try(f, password) {
		return Verdict{OK: true, Outdated: true}, err
	}
	return Verdict{}, err
}

// try does the work of the form where the password is right, and that of the
// ceiling where it is not.
func (v Verifier) try(f form, password string) bool {
	own := f.work()
	if v.run(own, func() bool { return f.matches(password) }) {
		return true
	}
	rest := v.Ceiling.with(v.Cost.Work()).with(own).minus(own)
	v.run(Work{Blocks: rest.Blocks, Passes: rest.Passes}, func() bool { spendArgon2id(password, rest); return true })
	v.run(Work{Iterations: rest.Iterations}, func() bool { spendDjango(password, rest.Iterations); return true })
	return false
}
