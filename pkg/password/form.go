package password

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
)

// ErrUnreadable says that a stored value is a hash, but of a kind or cost that
// is not read here.
var ErrUnreadable = errors.New("the stored password is a hash that cannot be read")

// form is a stored password that can be checked.
type form interface {
	matches(password string) bool
	outdated(c Cost) bool // c would make a better one
	work() Work           // that matches does
}

// Kind is what a stored value is.
type Kind string

// The kinds of stored values.
const (
	Current    Kind = "argon2id"          // as it is made today
	Weaker     Kind = "argon2id_outdated" // as it was made at a lower cost
	Django     Kind = "django_pbkdf2"
	ClearText  Kind = "clear_text"
	Unreadable Kind = "unreadable" // a hash that no password opens here
	None       Kind = "none"       // empty: no password at all
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Current, Weaker, Django, ClearText, Unreadable, None} }

// KindOf says what a stored value is, to whoever makes hashes of cost c.
func KindOf(stored string, c Cost) Kind {
	f, err := parse(stored)
	if err != nil {
		return Unreadable
	}
	switch f := f.(type) {
	case argon2id:
		if f.outdated(c) {
			return Weaker
		}
		return Current
	case django:
		return Django
	default:
		if stored == "" {
			return None
		}
		return ClearText
	}
}

// parse reads a stored password. It returns ErrUnreadable.
func parse(stored string) (form, error) {
	switch {
	case strings.HasPrefix(stored, argon2Prefix):
		return parseArgon2id(stored)
	case strings.HasPrefix(stored, djangoPrefix):
		return parseDjango(stored)
	case isForeignHash(stored):
		return nil, ErrUnreadable
	default:
		return clearText(stored), nil
	}
}

// isForeignHash tells the hashes that are not read here from clear text: by the
// names of crypt(3) and PHC, and of Django's other hashers. Some clear text may
// look the same; it is refused, because the contrary would let anyone log in
// with a hash that leaked.
func isForeignHash(stored string) bool {
	for _, prefix := range []string{
		"$1$", "$2$", "$2a$", "$2b$", "$2x$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$sha1$", "$scrypt$", "$pbkdf2", "$argon2",
		"pbkdf2_", "argon2$", "bcrypt$", "bcrypt_sha256$", "scrypt$", "sha1$", "md5$", "crypt$",
	} {
		if strings.HasPrefix(stored, prefix) {
			return true
		}
	}
	return isUnusable(stored)
}

// isUnusable tells the mark of Django for a member who cannot log in by
// password: "!" and 40 letters and digits.
func isUnusable(stored string) bool {
	rest, marked := strings.CutPrefix(stored, "!")
	if !marked || len(rest) != 40 {
		return false
	}
	for _, c := range []byte(rest) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// clearText is a password as old systems kept it. The empty one is nobody's.
type clearText string

func (c clearText) matches(password string) bool {
	// Digests are compared, so that the time does not tell the length.
	stored, given := sha256.Sum256([]byte(c)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(stored[:], given[:]) == 1 && c != ""
}

func (clearText) outdated(Cost) bool { return true }

func (clearText) work() Work { return Work{} }

// nothing is the form of no password.
type nothing struct{}

func (nothing) matches(string) bool { return false }

func (nothing) outdated(Cost) bool { return false }

func (nothing) work() Work { return Work{} }
