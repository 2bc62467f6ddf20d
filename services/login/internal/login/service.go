package login

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/internal/hashing"
	"example.com/pizza/services/login/internal/limits"
)

// Store keeps members, and the tokens that were withdrawn.
type Store interface {
	// Insert keeps a new member with the stored form of its password. It
	// returns Conflict when the id is taken.
	Insert(ctx context.Context, m Member, stored string) error
	// Find returns a member and the stored form of its password, or NotFound.
	Find(ctx context.Context, memberID string) (m Member, stored string, err error)
	// ReplacePassword puts another stored form of the same password in the place
	// of the given one, and says whether it was still there.
	ReplacePassword(ctx context.Context, memberID, from, to string) (bool, error)
	// ChangePassword puts the stored form of another password in the place of the
	// given one, and with it withdraws all tokens of the member, as RevokeMember
	// does. It returns the generation of the tokens that are valid from now on, and
	// whether the given form was still there.
	ChangePassword(ctx context.Context, memberID, from, to string, keep time.Duration) (generation int64, changed bool, err error)
	// Revoke withdraws a token until it expires. Repeating it is harmless.
	Revoke(ctx context.Context, c token.Claims) error
	// RevokeMember withdraws all tokens of a member, none of which is valid for
	// longer than keep.
	RevokeMember(ctx context.Context, memberID string, keep time.Duration) error
	// Revoked reports whether the token, or all tokens of its generation, were
	// withdrawn.
	Revoked(ctx context.Context, c token.Claims) (bool, error)
}

// errWrong does not say which of the two it is.
var errWrong = fault.New(fault.Unauthenticated, "the id or the password is wrong")

// Options are the choices of a Service.
type Options struct {
	TokenLifetime time.Duration
	Policy        *password.Policy // of new passwords
	Limits        limits.Limits
}

// Service registers members and logs them in and out. All its errors are
// faults; any call may return Unavailable when the database does not answer.
type Service struct {
	store   Store
	hasher  *hashing.Hasher
	keys    *token.Keys
	options Options
	log     *slog.Logger
	audit   *audit.Log
	counts  counts
}

// NewService returns a service. Logins and registrations are counted in registry.
func NewService(
	store Store, hasher *hashing.Hasher, keys *token.Keys, o Options, log *slog.Logger, registry prometheus.Registerer,
) *Service {
	return &Service{
		store: store, hasher: hasher, keys: keys, options: o, log: log, audit: audit.New(log), counts: newCounts(registry),
	}
}

// Policy returns what a new password must be.
func (s *Service) Policy() *password.Policy { return s.options.Policy }

// Limits returns how often passwords are tried and members registered.
func (s *Service) Limits() limits.Limits { return s.options.Limits }

// Register makes someone a member. It returns Invalid with every bad field,
// Conflict when the id is taken, RateLimited when it is tried too often, and
// Unavailable when too many passwords are being hashed; that costs nothing of the
// limits.
func (s *Service) Register(ctx context.Context, r Registration) (Member, error) {
	m, err := s.register(ctx, r)
	s.counts.registrations.WithLabelValues(outcome(err)).Inc()
	return m, err
}

func (s *Service) register(ctx context.Context, r Registration) (Member, error) {
	r, err := r.normal(s.options.Policy)
	if err != nil {
		return Member{}, err
	}
	charges := s.options.Limits.Register(ctx, r.ID)
	if err := ratelimit.Check(ctx, charges...); err != nil {
		return Member{}, err
	}
	var refund func()
	stored, err := s.hasher.Hash(ctx, r.Password, func() (err error) {
		refund, err = ratelimit.Spend(ctx, charges...)
		return err
	})
	if err != nil {
		return Member{}, err
	}
	m := Member{ID: r.ID, Name: r.Name}
	if err := s.insert(ctx, m, stored); err != nil {
		// Not for a caller that goes away: the member may be registered.
		if fault.CodeOf(err) == fault.Unavailable && ctx.Err() == nil {
			refund()
		}
		return Member{}, err
	}
	s.audit.MemberRegistered(ctx, m.ID)
	return m, nil
}

// Session is what a member gets for its password.
type Session struct {
	Member   Member
	Token    string
	Lifetime time.Duration
}

// Login issues a token for the right password. It returns Invalid with every
// missing field, Unauthenticated alike for an unknown id and a wrong password,
// RateLimited, alike too, when passwords are tried too often, and Unavailable when
// too many are being hashed.
func (s *Service) Login(ctx context.Context, c Credentials) (Session, error) {
	session, err := s.login(ctx, c)
	s.counts.logins.WithLabelValues(outcome(err)).Inc()
	return session, err
}

func (s *Service) login(ctx context.Context, c Credentials) (Session, error) {
	if err := c.Validate(); err != nil {
		return Session{}, err
	}
	try := s.options.Limits.Password(ctx, account(c.ID))
	if err := ratelimit.Check(ctx, try...); err != nil {
		return Session{}, err
	}
	m, stored, v, err := s.verify(ctx, c, func() error {
		_, err := ratelimit.Spend(ctx, try...)
		return err
	})
	if errors.Is(err, errWrong) {
		s.audit.LoginFailed(ctx, m.ID)
	}
	if err != nil {
		return Session{}, err
	}
	if v.Better != "" {
		s.upgrade(ctx, m, stored, v.Better)
	}
	session, err := s.session(m)
	if err != nil {
		return Session{}, err
	}
	s.audit.LoginSucceeded(ctx, m.ID)
	return session, nil
}

// session returns a new session of a member.
func (s *Service) session(m Member) (Session, error) {
	signed, err := s.keys.Issue(m.ID, m.Generation, s.options.TokenLifetime)
	if err != nil {
		return Session{}, err
	}
	return Session{Member: m, Token: signed, Lifetime: s.options.TokenLifetime}, nil
}

// verify returns the member with this id and password, and the stored form that
// was checked. It calls spend just before the password is checked: a request that is
// refused earlier costs nothing of the limits. It returns errWrong, alike and after
// the same work for a wrong password and for an unknown id, with the zero Member;
// RateLimited; or Unavailable.
func (s *Service) verify(
	ctx context.Context, c Credentials, spend func() error,
) (m Member, stored string, v hashing.Verdict, err error) {
	m, stored, err = s.find(ctx, c.ID)
	if err != nil && fault.CodeOf(err) != fault.NotFound {
		return Member{}, "", hashing.Verdict{}, err
	}
	// For an unknown id stored is empty: the same work, for no password.
	v, err = s.hasher.Verify(ctx, stored, c.Password, spend)
	if errors.Is(err, password.ErrUnreadable) {
		s.log.WarnContext(ctx, "a member cannot log in", "member_id", m.ID, "error", err.Error())
		return m, "", hashing.Verdict{}, errWrong
	}
	if err == nil && !v.OK {
		err = errWrong
	}
	return m, stored, v, err
}

// upgrade replaces an outdated stored form. The password was right: a failure
// here is a matter for the log, and for the next login.
func (s *Service) upgrade(ctx context.Context, m Member, stored, better string) {
	replaced, err := s.store.ReplacePassword(ctx, m.ID, stored, better)
	if err != nil {
		s.log.WarnContext(ctx, "an outdated password hash stays", "member_id", m.ID, "error", err.Error())
		return
	}
	if replaced {
		s.log.InfoContext(ctx, "an outdated password hash was replaced", "member_id", m.ID)
	}
}
