package password

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
)

// ErrUnreadable is returned for a stored hash of an unsupported kind or cost.
var ErrUnreadable = errors.New("the stored password hash has an unsupported kind or cost")

// form is a stored password that can be checked.
type form interface {
	matches(password string) bool
	isOutdated(c Cost) bool // reports whether c makes a better form
	work() (string, uint64) // of matches, as in Run; 0 for none
}

// Kind is the kind of a stored value.
type Kind string

// The kinds of stored values.
const (
	Current    Kind = "argon2id"          // with at least the current cost
	Weaker     Kind = "argon2id_outdated" // with a lower cost
	Django     Kind = "django_pbkdf2"
	ClearText  Kind = "clear_text"
	Unreadable Kind = "unreadable" // an unsupported hash, which no password matches
	None       Kind = "none"       // empty: no password
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Current, Weaker, Django, ClearText, Unreadable, None} }

// KindOf returns the kind of a stored value where new hashes have cost c.
func KindOf(stored string, c Cost) Kind {
	f, err := parse(stored)
	if err != nil {
		return Unreadable
	}
	switch f := f.(type) {
	case argon2id:
		if f.isOutdated(c) {
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

// isForeignHash reports whether stored is an unsupported hash, by the prefixes of
// crypt(3), PHC and Django's other hashers. Clear text that looks like one is
// refused: accepting it would let anyone log in with a leaked hash.
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

// isUnusable reports whether stored is Django's mark for a member without a usable
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

// clearText is a password as old systems stored it. The empty one matches nothing.
type clearText string

func (c clearText) matches(password string) bool {
	// Digests are compared, so that the time does not reveal the length.
	stored, given := sha256.Sum256([]byte(c)), sha256.Sum256([]byte(password))
	return subtle.ConstantTimeCompare(stored[:], given[:]) == 1 && c != ""
}

func (clearText) isOutdated(Cost) bool { return true }

func (clearText) work() (string, uint64) { return "", 0 }
