package order

import "example.com/pizza/pkg/fault"

// Caller is the member on whose behalf a request acts, and the token that proves
// it.
type Caller struct {
	MemberID   string
	TokenID    string // identifies the token in the list of revoked tokens
	Generation int64  // of the token; a token older than its member's current generation is revoked
}

// ErrRevoked is returned for a caller whose token was revoked before it expired.
var ErrRevoked = fault.New(fault.Unauthenticated, "the token was revoked")
