package login

import (
	"context"
	"errors"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/token"
)

// ChangePassword gives the member that claims are of another password, withdraws
// all its tokens, and returns a new session: whoever else is logged in as the
// member, has to show the new password. It returns Invalid with every bad field,
// among them a wrong old password; Conflict when something else has replaced the
// password meanwhile, twice; RateLimited when passwords of the member are tried too
// often, here or at login; and Unavailable when too many are being hashed.
func (s *Service) ChangePassword(ctx context.Context, claims token.Claims, c PasswordChange) (Session, error) {
	if err := c.Validate(s.options.Policy, claims.MemberID); err != nil {
		return Session{}, err
	}
	try := s.options.Limits.Password(ctx, account(claims.MemberID))
	if err := ratelimit.Check(ctx, try...); err != nil {
		return Session{}, err
	}
	refund := func() {}
	spend := func() (err error) {
		refund, err = ratelimit.Spend(ctx, try...)
		return err
	}
	var better string
	// The stored form may change between a look and the replacement, by a login
	// that upgrades it: the password is the same, so a second look will do.
	for range 2 {
		m, stored, _, err := s.verify(ctx, Credentials{claims.MemberID, c.Old}, spend)
		spend = func() error { return nil } // a second look is no second try
		if errors.Is(err, errWrong) {
			wrong := fault.InvalidFields(fault.Field{Field: fieldOldPassword, Message: "is not the member's password"})
			wrong.Err = err
			s.audit.PasswordChangeFailed(ctx, claims.MemberID)
			return Session{}, wrong
		}
		if err != nil {
			return Session{}, err
		}
		if better == "" {
			if better, err = s.hasher.Hash(ctx, c.New, spend); err != nil {
				return Session{}, refunded(ctx, err, refund)
			}
		}
		generation, changed, err := s.store.ChangePassword(ctx, claims.MemberID, stored, better, s.keep())
		if err != nil {
			return Session{}, refunded(ctx, err, refund)
		}
		if changed {
			s.audit.PasswordChanged(ctx, claims.MemberID)
			m.Generation = generation
			return s.session(m)
		}
	}
	return Session{}, fault.New(fault.Conflict, "the password is being changed by another request; try again")
}

// refunded gives a try with the right password back where the service could not
// carry it out, and returns err. A caller that went away may have got what it wanted.
func refunded(ctx context.Context, err error, refund func()) error {
	if fault.CodeOf(err) == fault.Unavailable && ctx.Err() == nil {
		refund()
	}
	return err
}
