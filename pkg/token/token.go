// Package token issues and verifies the access tokens of members: JWTs signed
// with HS256 (RFC 7519, RFC 7518).
//
// One service issues tokens, and every service verifies them with the shared keys. Each
// service looks up revoked tokens in the tables of login, by primary key, when it uses a
// token. Config is the source of the keys, and Keys holds the current ones. Run follows
// changes of key files, so that a rotation logs no member out. The kid in the header is
// derived from the key and identifies it.
package token

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"example.com/pizza/pkg/fault"
)

// Leeway is the tolerated clock skew. A token is accepted for that time after its expiry
// (exp), and before its issue (iat) and its start (nbf).
const Leeway = 5 * time.Second

// algorithm signs every token, and no other is accepted (RFC 8725, section 3.1).
const algorithm = "HS256"

const (
	generationClaim = "gen" // a private claim (RFC 7519, section 4.3), left out for 0
	maxID           = 255   // bytes of a jti: it is stored, and announced
)

// Claims are the claims of a token.
type Claims struct {
	ID        string // identifies the token, for its revocation: its jti, or a hash of a token without
	MemberID  string
	IssuedAt  time.Time
	ExpiresAt time.Time

	// Generation is the generation of the member's tokens at the login: all older tokens
	// can be revoked at once. 0 is the oldest. A generation needs no clock: a token and a
	// revocation may fall into the same second.
	Generation int64
}

// The reasons for refusing a token. Each is a fault.Unauthenticated.
var (
	ErrMissing = fault.New(fault.Unauthenticated, "a Bearer token is required")
	ErrInvalid = fault.New(fault.Unauthenticated, "the token is not valid")
	ErrExpired = fault.New(fault.Unauthenticated, "the token has expired")
	ErrRevoked = fault.New(fault.Unauthenticated, "the token was revoked")
)

// Issue returns a signed token of a generation for a member. It expires after ttl.
func (k *Keys) Issue(memberID string, generation int64, ttl time.Duration) (string, error) {
	now, signing := k.now(), k.ring.Load().signing()
	claims := jwt.MapClaims{
		"member_id": memberID,
		"jti":       uuid.NewString(),
		"iat":       now.Unix(),
		"exp":       now.Add(ttl).Unix(),
	}
	if generation > 0 {
		claims[generationClaim] = generation
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	t.Header["kid"] = signing.id
	signed, err := t.SignedString(signing.secret)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed, nil
}

// Verify returns the claims of a valid token. It returns ErrMissing, ErrExpired or
// ErrInvalid.
func (k *Keys) Verify(raw string) (Claims, error) {
	if raw == "" {
		return Claims{}, ErrMissing
	}
	p, ok := parse(raw)
	if !ok || !k.ring.Load().signed(p) {
		return Claims{}, ErrInvalid
	}
	err := jwt.NewValidator(
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(Leeway), jwt.WithTimeFunc(k.now)).Validate(p.claims)
	if errors.Is(err, jwt.ErrTokenExpired) {
		return Claims{}, ErrExpired
	}
	if err != nil {
		return Claims{}, ErrInvalid
	}
	return read(p)
}

// read converts verified claims.
func read(p parsed) (Claims, error) {
	claims := p.claims
	memberID, _ := claims["member_id"].(string)
	id, _ := claims["jti"].(string)
	if _, named := claims["jti"]; !named {
		id = p.id()
	}
	issued, issuedErr := claims.GetIssuedAt()
	expires, expiresErr := claims.GetExpirationTime()
	generation, ok := readGeneration(claims)
	if memberID == "" || id == "" || len(id) > maxID || issued == nil || expires == nil || !ok || errors.Join(issuedErr, expiresErr) != nil {
		return Claims{}, ErrInvalid
	}
	return Claims{ID: id, MemberID: memberID, IssuedAt: issued.Time, ExpiresAt: expires.Time, Generation: generation}, nil
}

// readGeneration returns 0 for a token without a generation.
func readGeneration(claims jwt.MapClaims) (generation int64, ok bool) {
	value, there := claims[generationClaim]
	if !there {
		return 0, true
	}
	number, ok := value.(float64)
	return int64(number), ok && number >= 0 && number < 1<<53 && number == math.Trunc(number)
}

// Bearer returns the token of an Authorization header (RFC 6750, section 2.1),
// or "" without one.
func Bearer(header string) string {
	scheme, raw, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(raw)
}

// Challenge returns the WWW-Authenticate header for a 401 that err explains. It
// names an error only if a token was sent and refused (RFC 6750, section 3.1).
func Challenge(err error) string {
	const challenge = `Bearer realm="pizza"`
	for _, refused := range []*fault.Error{ErrInvalid, ErrExpired, ErrRevoked} {
		if errors.Is(err, refused) {
			return challenge + `, error="invalid_token", error_description="` + refused.Detail + `"`
		}
	}
	return challenge
}

type contextKey struct{}

// NewContext returns ctx with the claims of the caller.
func NewContext(ctx context.Context, c Claims) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the claims of the caller. ok is false without a token.
func FromContext(ctx context.Context) (c Claims, ok bool) {
	c, ok = ctx.Value(contextKey{}).(Claims)
	return c, ok
}
