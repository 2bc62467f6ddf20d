package monolith

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

const (
	algorithm  = "pbkdf2_sha256"
	iterations = 1000 // Django has a thousand times as many, which would only cost time here
)

// hash returns a password as Django's PBKDF2PasswordHasher stores it:
// pbkdf2_sha256$iterations$salt$key
func hash(password string) (string, error) {
	salt := rand.Text()
	key, err := derive(password, salt, iterations)
	return fmt.Sprintf("%s$%d$%s$%s", algorithm, iterations, salt, key), err
}

// matches compares a password with a hash, or with clear text.
func matches(stored, password string) bool {
	parts := strings.Split(stored, "$")
	if len(parts) != 4 || parts[0] != algorithm {
		return stored == password
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		return false
	}
	key, err := derive(password, parts[2], n)
	return err == nil && key == parts[3]
}

func derive(password, salt string, n int) (string, error) {
	key, err := pbkdf2.Key(sha256.New, password, []byte(salt), n, sha256.Size)
	return base64.StdEncoding.EncodeToString(key), err
}
