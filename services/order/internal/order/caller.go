package order

import "example.com/pizza/pkg/fault"

// Caller is the member that a request acts for, and the token that proves it.
type Caller struct {
	MemberID   string
	TokenID    string // names the token where it is withdrawn
	Generation int64  // of the token: older ones than the member's current generation are withdrawn
}

// ErrRevoked is returned for a caller whose token was withdrawn before it expired.
var ErrRevoked = fault.New(fault.Unauthenticated, "the token was revoked")
