package login

import (
	"context"
	"errors"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/token"
)

// ChangePassword gives the member that claims are of another password. It returns
// Invalid with every bad field, among them a wrong old password; Conflict when
// something else has replaced the password meanwhile, twice; and Unavailable when
// too many passwords are being hashed.
func (s *Service) ChangePassword(ctx context.Context, claims token.Claims, c PasswordChange) error {
	if err := c.Validate(s.options.Policy, claims.MemberID); err != nil {
		return err
	}
	var better string
	// The stored form may change between a look and the replacement, by a login
	// that upgrades it: the password is the same, so a second look will do.
	for range 2 {
		_, stored, _, err := s.verify(ctx, Credentials{claims.MemberID, c.Old})
		if errors.Is(err, errWrong) {
			wrong := fault.InvalidFields(fault.Field{Field: fieldOldPassword, Message: "is not the member's password"})
			wrong.Err = err
			return wrong
		}
		if err != nil {
			return err
		}
		if better == "" {
			if better, err = s.hasher.Hash(ctx, c.New); err != nil {
				return err
			}
		}
		replaced, err := s.store.ReplacePassword(ctx, claims.MemberID, stored, better)
		if err != nil {
			return err
		}
		if replaced {
			return s.passwordChanged(ctx, claims)
		}
	}
	return fault.New(fault.Conflict, "the password is being changed by another request; try again")
}

// passwordChanged is what follows from a change of a password.
func (s *Service) passwordChanged(ctx context.Context, claims token.Claims) error {
	s.log.InfoContext(ctx, "a member changed the password", "member_id", claims.MemberID)
	return nil
}
