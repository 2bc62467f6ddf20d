// Package postgres keeps members and withdrawn tokens in PostgreSQL. The SQL is
// in queries/, the code in db/ is generated from it.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/internal/login"
	"example.com/pizza/services/login/internal/postgres/db"
)

// Store is a login.Store.
type Store struct {
	queries *db.Queries
	wake    func()
}

// NewStore returns a store on a pool of the login service's role. It calls wake
// when an event has been committed to the outbox.
func NewStore(pool *pgxpool.Pool, wake func()) *Store { return &Store{db.New(pool), wake} }

// uniqueViolation is a SQLSTATE (PostgreSQL documentation, appendix A).
const uniqueViolation = "23505"

var errTaken = fault.New(fault.Conflict, "the id is taken")

// Insert keeps a new member. It returns Conflict when the id is taken, by a
// member or by one that was deleted, and Unavailable.
func (s *Store) Insert(ctx context.Context, m login.Member, stored string) error {
	rows, err := s.queries.InsertMember(ctx, db.InsertMemberParams{MemberID: m.ID, MemberPwd: stored, MemberNm: m.Name})
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == uniqueViolation: // raised by the trigger member_new
		return errTaken
	case err != nil:
		return postgres.Fault(err)
	case rows == 0:
		return errTaken
	}
	return nil
}

// Find returns a member and the stored form of its password. It returns
// NotFound and Unavailable.
func (s *Store) Find(ctx context.Context, memberID string) (m login.Member, stored string, err error) {
	row, err := s.queries.FindMember(ctx, memberID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return login.Member{}, "", fault.New(fault.NotFound, "no such member")
	case err != nil:
		return login.Member{}, "", postgres.Fault(err)
	}
	return login.Member{ID: row.MemberID, Name: row.MemberNm, Generation: row.Generation}, row.MemberPwd, nil
}

// ReplacePassword puts another stored form of the same password in the place of
// the given one, and says whether it was still there. It returns Unavailable.
func (s *Store) ReplacePassword(ctx context.Context, memberID, from, to string) (bool, error) {
	rows, err := s.queries.ReplacePassword(ctx, db.ReplacePasswordParams{MemberID: memberID, OldPwd: from, NewPwd: to})
	return rows > 0, postgres.Fault(err)
}

// Revoke withdraws a token until it expires; again is fine. It returns
// Unavailable.
func (s *Store) Revoke(ctx context.Context, c token.Claims) error {
	if err := s.queries.RevokeToken(ctx, db.RevokeTokenParams{Jti: c.ID, MemberID: c.MemberID, ExpiresAt: c.ExpiresAt}); err != nil {
		return postgres.Fault(err)
	}
	s.wake()
	return nil
}

// RevokeMember withdraws all tokens of a member, none of which is valid for longer
// than keep. It returns Unavailable.
func (s *Store) RevokeMember(ctx context.Context, memberID string, keep time.Duration) error {
	if err := s.queries.RevokeMember(ctx, db.RevokeMemberParams{MemberID: memberID, KeepSeconds: keep.Seconds()}); err != nil {
		return postgres.Fault(err)
	}
	s.wake()
	return nil
}

// Revoked reports whether a token was withdrawn. It returns Unavailable.
func (s *Store) Revoked(ctx context.Context, c token.Claims) (bool, error) {
	revoked, err := s.queries.IsRevoked(ctx, db.IsRevokedParams{Jti: c.ID, MemberID: c.MemberID, Generation: c.Generation})
	return revoked, postgres.Fault(err)
}

// ChangePassword puts the stored form of another password in the place of the
// given one and withdraws all tokens of the member, as RevokeMember does. It
// returns the generation of the tokens that are valid from now on, and whether the
// given form was still there. It returns Unavailable.
func (s *Store) ChangePassword(
	ctx context.Context, memberID, from, to string, keep time.Duration,
) (generation int64, changed bool, err error) {
	generation, err = s.queries.ChangePassword(ctx, db.ChangePasswordParams{
		MemberID: memberID, OldPwd: from, NewPwd: to, KeepSeconds: keep.Seconds(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, postgres.Fault(err)
	}
	s.wake()
	return generation, true, nil
}
