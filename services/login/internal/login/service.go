package login

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
)

// Store keeps members and revoked tokens. All methods return Unavailable.
type Store interface {
	// Insert stores a new member with the stored form of its password. It returns
	// Conflict if the id is taken.
	Insert(ctx context.Context, m Member, stored string) error
	// Find returns a member and the stored form of its password, or NotFound.
	Find(ctx context.Context, memberID string) (m Member, stored string, err error)
	// ReplacePassword replaces a stored form by another one of the same password. It
	// reports whether the member still had the old form.
	ReplacePassword(ctx context.Context, memberID, from, to string) (bool, error)
	// ChangePassword replaces a stored form by that of another password, and revokes
	// all tokens of the member as RevokeMember does. It returns the generation of new
	// tokens, and reports whether the member still had the old form.
	ChangePassword(ctx context.Context, memberID, from, to string, keep time.Duration) (generation int64, changed bool, err error)
	// Revoke revokes a token until it expires. Repeating it is harmless.
	Revoke(ctx context.Context, t Token) error
	// RevokeMember revokes all tokens of a member. None of them is valid for longer
	// than keep.
	RevokeMember(ctx context.Context, memberID string, keep time.Duration) error
	// IsRevoked reports whether the token, or all tokens of its generation, were
	// revoked.
	IsRevoked(ctx context.Context, t Token) (bool, error)
}

// Hasher creates and checks the stored forms of passwords, a bounded number at a
// time. It calls admitted when the request has a place, before any work, and
// returns its error. It returns Unavailable if there is no place.
type Hasher interface {
	Hash(ctx context.Context, pw string, admitted func() error) (string, error)
	// Verify takes the same work for every refusal. An empty stored form, that of an
	// unknown id, matches no password. It returns password.ErrUnreadable.
	Verify(ctx context.Context, stored, pw string, admitted func() error) (Verdict, error)
}

// Verdict is the result of Hasher.Verify.
type Verdict struct {
	OK     bool
	Better string // with OK: the form to store instead; "" if the stored form is current
}

// Attempt is one attempt at a password or an id, under the limits of its client and
// its account.
type Attempt interface {
	// Check returns RateLimited if no attempt is left. It charges nothing.
	Check(ctx context.Context) error
	// Spend charges the attempt. It returns RateLimited.
	Spend(ctx context.Context) error
}

// Audit records security events.
type Audit interface {
	MemberRegistered(ctx context.Context, memberID string)
	LoginSucceeded(ctx context.Context, memberID string)
	LoginFailed(ctx context.Context, memberID string)
	PasswordChanged(ctx context.Context, memberID string)
	PasswordChangeFailed(ctx context.Context, memberID string)
	TokenRevoked(ctx context.Context, memberID, tokenID string)
	MemberTokensRevoked(ctx context.Context, memberID string)
}

// errWrong does not reveal which of the two is wrong.
var errWrong = fault.New(fault.Unauthenticated, "the id or the password is wrong")

// Service registers members, checks their passwords, and revokes their tokens. All
// its errors are faults; every call can return Unavailable. An Attempt is charged
// after all cheap checks, when the request has a place among those that hash:
// requests that are rejected earlier cost nothing.
type Service struct {
	store         Store
	hasher        Hasher
	policy        *password.Policy
	tokenLifetime time.Duration
	audit         Audit
	log           *slog.Logger
}

// NewService returns a service. policy is for new passwords.
func NewService(store Store, hasher Hasher, policy *password.Policy, tokenLifetime time.Duration, audit Audit, log *slog.Logger) *Service {
	return &Service{store: store, hasher: hasher, policy: policy, tokenLifetime: tokenLifetime, audit: audit, log: log}
}

// Register creates a member. It returns Invalid with every bad field, Conflict if
// the id is taken, and RateLimited.
func (s *Service) Register(ctx context.Context, r Registration, a Attempt) (Member, error) {
	r, err := r.normalize(s.policy)
	if err != nil {
		return Member{}, err
	}
	if err := a.Check(ctx); err != nil {
		return Member{}, err
	}
	stored, err := s.hasher.Hash(ctx, r.Password, func() error { return a.Spend(ctx) })
	if err != nil {
		return Member{}, err
	}
	m := Member{ID: r.ID, Name: r.Name}
	if err := s.insert(ctx, m, stored); err != nil {
		return Member{}, err
	}
	s.audit.MemberRegistered(ctx, m.ID)
	return m, nil
}

// Login returns the member with these credentials, and replaces an outdated stored
// form. It returns Invalid with every missing field, Unauthenticated alike for an
// unknown id and a wrong password, and RateLimited.
func (s *Service) Login(ctx context.Context, c Credentials, a Attempt) (Member, error) {
	if err := c.Validate(); err != nil {
		return Member{}, err
	}
	if err := a.Check(ctx); err != nil {
		return Member{}, err
	}
	m, stored, v, err := s.verify(ctx, c, func() error { return a.Spend(ctx) })
	if errors.Is(err, errWrong) {
		s.audit.LoginFailed(ctx, m.ID)
	}
	if err != nil {
		return Member{}, err
	}
	if v.Better != "" {
		s.upgrade(ctx, m, stored, v.Better)
	}
	s.audit.LoginSucceeded(ctx, m.ID)
	return m, nil
}

// verify returns the member with these credentials, and the stored form that was
// checked. It returns errWrong, after the same work, for a wrong password and for
// an unknown id, the latter with the zero Member.
func (s *Service) verify(ctx context.Context, c Credentials, admitted func() error) (m Member, stored string, v Verdict, err error) {
	m, stored, err = s.find(ctx, c.ID)
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return Member{}, "", Verdict{}, err
	}
	v, err = s.hasher.Verify(ctx, stored, c.Password, admitted) // for an unknown id stored is empty
	if errors.Is(err, password.ErrUnreadable) {
		s.log.WarnContext(ctx, "a member cannot log in", "member_id", m.ID, "error", err.Error())
		return m, "", Verdict{}, errWrong
	}
	if err == nil && !v.OK {
		err = errWrong
	}
	return m, stored, v, err
}

// upgrade replaces an outdated stored form. A failure is logged and left to the
// next login: the password was right.
func (s *Service) upgrade(ctx context.Context, m Member, stored, better string) {
	replaced, err := s.store.ReplacePassword(ctx, m.ID, stored, better)
	switch {
	case err != nil:
		s.log.WarnContext(ctx, "cannot replace an outdated password hash", "member_id", m.ID, "error", err.Error())
	case replaced:
		s.log.InfoContext(ctx, "replaced an outdated password hash", "member_id", m.ID)
	}
}

// ChangePassword changes the password of a member and revokes all its tokens: other
// sessions must show the new password. It returns the member with the generation of
// new tokens.
//
// It returns Invalid with every bad field, including a wrong old password; Conflict
// if the password keeps being changed by other requests; and RateLimited.
func (s *Service) ChangePassword(ctx context.Context, memberID string, c PasswordChange, a Attempt) (Member, error) {
	if err := c.Validate(s.policy, memberID); err != nil {
		return Member{}, err
	}
	if err := a.Check(ctx); err != nil {
		return Member{}, err
	}
	admitted := func() error { return a.Spend(ctx) }
	var better string
	// A login that upgrades the stored form can replace it in between. The password
	// is the same, so a second attempt succeeds.
	for range 2 {
		m, stored, _, err := s.verify(ctx, Credentials{memberID, c.Old}, admitted)
		admitted = func() error { return nil } // charges once
		if errors.Is(err, errWrong) {
			wrong := fault.InvalidFields(fault.Field{Field: fieldOldPassword, Message: "is not the member's password"})
			wrong.Err = err
			s.audit.PasswordChangeFailed(ctx, memberID)
			return Member{}, wrong
		}
		if err == nil && better == "" {
			better, err = s.hasher.Hash(ctx, c.New, admitted)
		}
		if err != nil {
			return Member{}, err
		}
		generation, changed, err := s.store.ChangePassword(ctx, memberID, stored, better, s.keep())
		if err != nil {
			return Member{}, err
		}
		if changed {
			s.audit.PasswordChanged(ctx, memberID)
			m.Generation = generation
			return m, nil
		}
	}
	return Member{}, fault.New(fault.Conflict, "the password is being changed by another request; try again")
}
