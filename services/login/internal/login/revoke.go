package login

import (
	"context"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/token"
)

// minKeep is the least time for which all tokens of a member stay withdrawn: it is
// longer than any sensible lifetime of a token, for a shop that has shortened it
// a moment ago.
const minKeep = 7 * 24 * time.Hour

// keep is how long the withdrawal of all tokens of a member counts.
func (s *Service) keep() time.Duration { return max(s.options.TokenLifetime, minKeep) }

// Logout withdraws a good token, for every service. One that is not good needs
// no withdrawing. It returns Unavailable when a good token could not be
// withdrawn: to claim otherwise would leave the caller with a token that works.
func (s *Service) Logout(ctx context.Context, raw string) error {
	claims, err := s.keys.Verify(raw)
	if err != nil {
		return nil //nolint:nilerr // a token that is not good is as logged out as can be
	}
	if err := s.store.Revoke(ctx, claims); err != nil {
		return err
	}
	s.audit.TokenRevoked(ctx, claims.MemberID, claims.ID)
	return nil
}

// RevokeMember withdraws all tokens of a member, for every service. It returns
// Invalid for what cannot be a member's id; an id of nobody is fine, because
// someone who is no member any more may still have tokens.
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

// Check verifies a token and looks up whether it was withdrawn. It returns
// token.ErrMissing, ErrInvalid, ErrExpired or ErrRevoked, or Unavailable.
func (s *Service) Check(ctx context.Context, raw string) (token.Claims, error) {
	claims, err := s.keys.Verify(raw)
	if err != nil {
		return token.Claims{}, err
	}
	revoked, err := s.store.Revoked(ctx, claims)
	if err != nil {
		return token.Claims{}, err
	}
	if revoked {
		return token.Claims{}, token.ErrRevoked
	}
	return claims, nil
}
