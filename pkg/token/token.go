// Package token issues and verifies the access tokens of members: JWTs signed
// with HS256 (RFC 7519, RFC 7518).
//
// One service issues; every service verifies by itself with the shared secret,
// and asks its Revocations whether the token was withdrawn. Only HS256 is
// accepted, exp is required, and the header's kid is derived from the key, so
// that a verifier can tell which key signed.
package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"example.com/pizza/pkg/fault"
)

// maxLength bounds what is parsed; our own tokens are under 500 bytes for the
// longest member id.
const maxLength = 4096

// minSecret is the least length of an HS256 key in bytes (RFC 7518, section 3.2).
const minSecret = 32

// leeway is how far the clocks of two machines may differ.
const leeway = 5 * time.Second

// Config is what a service needs to verify tokens.
type Config struct {
	Secret string `env:"JWT_SECRET,required,notEmpty" doc:"Key that signs access tokens (HS256), at least 32 bytes; the same for all services"`
}

// Validate reports a secret that is too short to sign with.
func (c Config) Validate() error {
	if c.Secret != "" && len(c.Secret) < minSecret {
		return fmt.Errorf("JWT_SECRET must be at least %d bytes long (it has %d)", minSecret, len(c.Secret))
	}
	return nil
}

// Claims is what a token says.
type Claims struct {
	ID        string // jti: names the token, for revocation
	MemberID  string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// The reasons why a token is refused; each is a fault.Unauthenticated.
var (
	ErrMissing = fault.New(fault.Unauthenticated, "a Bearer token is required")
	ErrInvalid = fault.New(fault.Unauthenticated, "the token is not valid")
	ErrExpired = fault.New(fault.Unauthenticated, "the token has expired")
	ErrRevoked = fault.New(fault.Unauthenticated, "the token was revoked")
)

// Keys signs and verifies.
type Keys struct {
	secret []byte
	id     string
	now    func() time.Time
}

// NewKeys returns the keys of a configuration. now is the clock, time.Now
// outside of tests.
func NewKeys(c Config, now func() time.Time) *Keys {
	sum := sha256.Sum256([]byte(c.Secret))
	return &Keys{secret: []byte(c.Secret), id: base64.RawURLEncoding.EncodeToString(sum[:6]), now: now}
}

type wireClaims struct {
	MemberID string `json:"member_id"`
	jwt.RegisteredClaims
}

// Issue returns a signed token for a member that expires after ttl.
func (k *Keys) Issue(memberID string, ttl time.Duration) (string, error) {
	now := k.now()
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, wireClaims{
		MemberID: memberID,
		RegisteredClaims: jwt.RegisteredClaims{
			ID:        uuid.NewString(),
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
		},
	})
	t.Header["kid"] = k.id
	signed, err := t.SignedString(k.secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// Verify returns what a token says. It returns ErrMissing, ErrExpired or
// ErrInvalid.
func (k *Keys) Verify(raw string) (Claims, error) {
	if raw == "" {
		return Claims{}, ErrMissing
	}
	if len(raw) > maxLength {
		return Claims{}, ErrInvalid
	}
	var c wireClaims
	_, err := jwt.ParseWithClaims(raw, &c,
		func(*jwt.Token) (any, error) { return k.secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(k.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, ErrExpired
	case err != nil, c.MemberID == "", c.ID == "", c.IssuedAt == nil:
		return Claims{}, ErrInvalid
	}
	return Claims{ID: c.ID, MemberID: c.MemberID, IssuedAt: c.IssuedAt.Time, ExpiresAt: c.ExpiresAt.Time}, nil
}

// Revocations knows the tokens that were withdrawn before they expired.
type Revocations interface {
	// Revoked says whether the token with this jti was withdrawn. It returns
	// Unavailable when it cannot know.
	Revoked(ctx context.Context, jti string) (bool, error)
}

// Checker decides whether a token may be used now.
type Checker struct {
	Keys        *Keys
	Revocations Revocations
}

// Check returns what a token says. It returns ErrMissing, ErrExpired,
// ErrInvalid, ErrRevoked, or Unavailable when revocations cannot be read.
func (c Checker) Check(ctx context.Context, raw string) (Claims, error) {
	claims, err := c.Keys.Verify(raw)
	if err != nil {
		return Claims{}, err
	}
	revoked, err := c.Revocations.Revoked(ctx, claims.ID)
	if err != nil {
		return Claims{}, err
	}
	if revoked {
		return Claims{}, ErrRevoked
	}
	return claims, nil
}

// Bearer returns the token of an Authorization header (RFC 6750, section 2.1),
// or "" when the header holds none.
func Bearer(header string) string {
	scheme, raw, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(raw)
}

type contextKey struct{}

// NewContext returns ctx with the claims of the caller.
func NewContext(ctx context.Context, c Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the claims of the caller; ok is false for a caller that
// showed no token.
func FromContext(ctx context.Context) (c Claims, ok bool) {
	c, ok = ctx.Value(contextKey{}).(Claims)
	return c, ok
}
