// Package postgres keeps members and withdrawn tokens in PostgreSQL. The SQL is
// in queries/, the code in db/ is generated from it.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/token"
	"example.com/pizza/pkg/token/revocation"
	"example.com/pizza/services/login/internal/login"
	"example.com/pizza/services/login/internal/postgres/db"
)

// Store is a login.Store.
type Store struct{ queries *db.Queries }

// NewStore returns a store on a pool of the login service's role.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{db.New(pool)} }

// Insert keeps a new member. It returns Conflict when the id is taken, and
// Unavailable.
func (s *Store) Insert(ctx context.Context, m login.Member, stored string) error {
	rows, err := s.queries.InsertMember(ctx, db.InsertMemberParams{MemberID: m.ID, MemberPwd: stored, MemberNm: m.Name})
	switch {
	case err != nil:
		return postgres.Fault(err)
	case rows == 0:
		return fault.New(fault.Conflict, "the id is taken")
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
	return postgres.Fault(s.queries.RevokeToken(ctx, db.RevokeTokenParams{Jti: c.ID, MemberID: c.MemberID, ExpiresAt: c.ExpiresAt}))
}

// RevokeMember withdraws all tokens of a member, of which none is good for longer
// than keep. It returns Unavailable.
func (s *Store) RevokeMember(ctx context.Context, memberID string, keep time.Duration) (revocation.Entry, error) {
	row, err := s.queries.RevokeMember(ctx, db.RevokeMemberParams{MemberID: memberID, KeepSeconds: keep.Seconds()})
	if err != nil {
		return revocation.Entry{}, postgres.Fault(err)
	}
	return revocation.Entry{MemberID: memberID, Generation: row.Generation, ExpiresAt: row.ExpiresAt}, nil
}

// ChangePassword puts the stored form of another password in the place of the
// given one and withdraws all tokens of the member, as RevokeMember does; it says
// whether the form was still there. It returns Unavailable.
func (s *Store) ChangePassword(
	ctx context.Context, memberID, from, to string, keep time.Duration,
) (withdrawn revocation.Entry, changed bool, err error) {
	row, err := s.queries.ChangePassword(ctx, db.ChangePasswordParams{
		MemberID: memberID, OldPwd: from, NewPwd: to, KeepSeconds: keep.Seconds(),
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return revocation.Entry{}, false, nil
	case err != nil:
		return revocation.Entry{}, false, postgres.Fault(err)
	}
	return revocation.Entry{MemberID: memberID, Generation: row.Generation, ExpiresAt: row.ExpiresAt}, true, nil
}
