// Package postgres stores members and revoked tokens in PostgreSQL. The SQL is in
// queries/; the code in db/ is generated from it.
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
	"example.com/pizza/services/login/internal/login"
	"example.com/pizza/services/login/internal/postgres/db"
)

// Store is a login.Store.
type Store struct {
	queries *db.Queries
	wake    func()
}

// NewStore returns a store on a pool of the login service's role. It calls wake
// after an event was committed to the outbox.
func NewStore(pool *pgxpool.Pool, wake func()) *Store { return &Store{db.New(pool), wake} }

// uniqueViolation is a SQLSTATE (PostgreSQL documentation, appendix A).
const uniqueViolation = "23505"

var errTaken = fault.New(fault.Conflict, "the id is taken")

// Insert implements login.Store. It returns Conflict if the id is taken by a member
// or by a deleted one.
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

// Find implements login.Store.
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

// ReplacePassword implements login.Store.
func (s *Store) ReplacePassword(ctx context.Context, memberID, from, to string) (bool, error) {
	rows, err := s.queries.ReplacePassword(ctx, db.ReplacePasswordParams{MemberID: memberID, OldPwd: from, NewPwd: to})
	return rows > 0, postgres.Fault(err)
}

// Revoke implements login.Store.
func (s *Store) Revoke(ctx context.Context, t login.Token) error {
	if err := s.queries.RevokeToken(ctx, db.RevokeTokenParams{Jti: t.ID, MemberID: t.MemberID, ExpiresAt: t.ExpiresAt}); err != nil {
		return postgres.Fault(err)
	}
	s.wake()
	return nil
}

// RevokeMember implements login.Store.
func (s *Store) RevokeMember(ctx context.Context, memberID string, keep time.Duration) error {
	if err := s.queries.RevokeMember(ctx, db.RevokeMemberParams{MemberID: memberID, KeepSeconds: keep.Seconds()}); err != nil {
		return postgres.Fault(err)
	}
	s.wake()
	return nil
}

// IsRevoked implements login.Store.
func (s *Store) IsRevoked(ctx context.Context, t login.Token) (bool, error) {
	revoked, err := s.queries.IsRevoked(ctx, db.IsRevokedParams{Jti: t.ID, MemberID: t.MemberID, Generation: t.Generation})
	return revoked, postgres.Fault(err)
}

// ChangePassword implements login.Store.
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
