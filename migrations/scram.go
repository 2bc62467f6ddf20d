package migrations

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"example.com/pizza/pkg/pgurl"
)

// scramIterations is PostgreSQL's own default.
const scramIterations = 4096

// scramVerifier returns what PostgreSQL stores for a password (RFC 5803):
//
//	SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
//
// The keys are those of RFC 5802, section 3, for the password as clients
// normalize it. A password that some clients could not log in with is an error.
func scramVerifier(password string) (string, error) {
	if password == "" {
		return "", errors.New("must not be empty")
	}
	if err := pgurl.CheckPassword(password); err != nil {
		return "", err
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, pgurl.Prepare(password), salt, scramIterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt), b64(stored[:]), b64(mac(salted, "Server Key"))), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message)) // never fails
	return h.Sum(nil)
}
