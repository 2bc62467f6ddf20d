package password

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

const (
	djangoPrefix = "pbkdf2_sha256$"
	// maxIterations bounds the time of a stored hash. Django 6.0 uses 1,200,000.
	maxIterations = 2_000_000
	// newIterations is the OWASP recommendation for PBKDF2 with SHA-256: 100 ms.
	newIterations = 600_000
)

// HashForDjango returns the stored form of a password that Django can check too. It
// hashes the password as it was sent, because Django does not normalize.
func HashForDjango(password string) (string, Run) {
	began := time.Now()
	salt := rand.Text()
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), newIterations, sha256.Size)
	if err != nil {
		panic(err) // only in the FIPS 140-only mode, which has no Argon2id either
	}
	stored := djangoPrefix + strconv.Itoa(newIterations) + "$" + salt + "$" + base64.StdEncoding.EncodeToString(key)
	return stored, Run{PBKDF2, newIterations, time.Since(began)}
}

// django is a hash by PBKDF2 with SHA-256 (RFC 8018) as Django's
// PBKDF2PasswordHasher stores it: pbkdf2_sha256$iterations$salt$key
type django struct {
	iterations uint32
	salt       string
	key        []byte
}

func (h django) matches(password string) bool {
	key, err := pbkdf2.Key(sha256.New, password, []byte(h.salt), int(h.iterations), len(h.key))
	return err == nil && subtle.ConstantTimeCompare(key, h.key) == 1
}

func (django) isOutdated(Cost) bool { return true }

func (h django) work() (string, uint64) { return PBKDF2, uint64(h.iterations) }

// parseDjango returns ErrUnreadable.
func parseDjango(stored string) (django, error) {
	parts := strings.Split(strings.TrimPrefix(stored, djangoPrefix), "$")
	if len(parts) != 3 || parts[1] == "" || strings.ContainsAny(parts[2], "\r\n") {
		return django{}, ErrUnreadable
	}
	iterations, ok := parameter(parts[0], "", maxIterations)
	key, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if !ok || err != nil || len(key) != sha256.Size {
		return django{}, ErrUnreadable
	}
	return django{iterations, parts[1], key}, nil
}
