package token

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"example.com/pizza/pkg/secret"
)

// Keys signs and verifies with the current keys. All methods may be called concurrently.
type Keys struct {
	ring atomic.Pointer[ring]
	now  func() time.Time
}

// NewKeys returns the keys of a configuration without files, which never change. now is
// the clock: time.Now outside of tests.
func NewKeys(c Config, now func() time.Time) *Keys {
	k := &Keys{now: now}
	r := newRing(append([]secret.Text{c.Secret}, c.Previous...))
	k.ring.Store(&r)
	return k
}

// key is one secret and its name.
type key struct {
	id     string
	secret []byte
}

// newKey derives the id of a key from 48 bits of its SHA-256: enough to distinguish a few
// keys, and useless for finding a secret of 32 bytes.
func newKey(text secret.Text) key {
	sum := sha256.Sum256([]byte(text))
	return key{id: base64.RawURLEncoding.EncodeToString(sum[:6]), secret: []byte(text)}
}

// ring is a set of keys. The first one signs, and each one verifies.
type ring []key

// newRing drops repeated secrets: during a rotation a key may be in two places.
func newRing(secrets []secret.Text) ring {
	var r ring
	for i, s := range secrets {
		if !slices.Contains(secrets[:i], s) {
			r = append(r, newKey(s))
		}
	}
	return r
}

func (r ring) signing() key { return r[0] }

// ids returns the ids of all keys, the signing key first.
func (r ring) ids() []string {
	out := make([]string, len(r))
	for i, k := range r {
		out[i] = k.id
	}
	return out
}

func (r ring) equal(other ring) bool {
	return slices.EqualFunc(r, other, func(a, b key) bool { return string(a.secret) == string(b.secret) })
}

// signed reports whether a key of the ring has signed a token: the key of its kid, or any
// key for a token without one.
func (r ring) signed(p parsed) bool {
	id, named := p.header["kid"]
	for _, key := range r {
		if (!named || id == key.id) && jwt.SigningMethodHS256.Verify(p.signed, p.signature, key.secret) == nil {
			return true
		}
	}
	return false
}
