package login

import (
	"context"
	"time"

	"example.com/pizza/pkg/fault"
)

// Token identifies a token that is to be revoked.
type Token struct {
	ID         string
	MemberID   string
	Generation int64 // tokens older than the member's current generation are revoked
	ExpiresAt  time.Time
}

// minKeep is the minimum time for which all tokens of a member stay revoked. It is
// longer than any sensible lifetime of a token, in case the lifetime was shortened
// a moment ago.
const minKeep = 7 * 24 * time.Hour

// keep returns the time for which the tokens of a member stay revoked.
func (s *Service) keep() time.Duration { return max(s.tokenLifetime, minKeep) }

// Logout revokes a token for every service. It returns Unavailable if the token
// still works.
func (s *Service) Logout(ctx context.Context, t Token) error {
	if err := s.store.Revoke(ctx, t); err != nil {
		return err
	}
	s.audit.TokenRevoked(ctx, t.MemberID, t.ID)
	return nil
}

// RevokeMember revokes all tokens of a member for every service. It returns Invalid
// for a text that cannot be an id. An unknown id is accepted, because a deleted
// member may still have tokens.
func (s *Service) RevokeMember(ctx context.Context, memberID string) error {
	if err := invalid(fault.Field{Field: fieldMemberID, Message: storedIDRule(memberID)}); err != nil {
		return err
	}
	memberID, err := s.stored(ctx, memberID)
	if err != nil {
		return err
	}
	if err := s.store.RevokeMember(ctx, memberID, s.keep()); err != nil {
		return err
	}
	s.audit.MemberTokensRevoked(ctx, memberID)
	return nil
}

// IsRevoked reports whether a token was revoked.
func (s *Service) IsRevoked(ctx context.Context, t Token) (bool, error) {
	return s.store.IsRevoked(ctx, t)
}
