package revocation

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/token"
)

var errLately = errors.New("the last read of revocations has failed a moment ago")

// How much a read reads.
const (
	recent     = false // what was withdrawn since the last one, and everything the first time
	everything = true
)

// overlap is how long a withdrawal may take from its beginning, whose time it
// bears, to its commit, and still be found by the next read of what is recent.
const overlap = time.Minute

// query returns the entries that still count, and the time of the database.
const query = `-- name: ReadRevocations :many
SELECT now(), jti, member_id, 0, expires_at FROM revoked_token
WHERE expires_at > now() - @grace::interval AND (@since::timestamptz IS NULL OR revoked_at > @since)
UNION ALL
SELECT now(), '', member_id, generation, expires_at FROM revoked_member
WHERE expires_at > now() - @grace::interval AND (@since::timestamptz IS NULL OR revoked_at > @since)
UNION ALL
SELECT now(), '', '', 0, now()`

// load reads from the tables and adds what it finds.
func (s *Set) load(ctx context.Context, whole bool) error {
	began := s.now()
	s.mu.RLock()
	var since *time.Time
	if s.loaded && !whole {
		t := s.asOf.Add(-overlap)
		since = &t
	}
	s.mu.RUnlock()
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	entries, asOf, err := s.entries(reading, since)
	if err != nil {
		if ctx.Err() == nil {
			s.fail(err)
		}
		return err
	}
	s.Add(entries...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = true
	if !began.Before(s.read) {
		s.read, s.asOf = began, asOf
	}
	if s.troubled {
		s.troubled = false
		s.log.InfoContext(ctx, "revocations of tokens are read again", "event", "revocations_restored")
	}
	return nil
}

func (s *Set) entries(ctx context.Context, since *time.Time) (entries []Entry, asOf time.Time, err error) {
	rows, err := s.pool.Query(ctx, query, pgx.NamedArgs{"since": since, "grace": token.Leeway + clockSkew})
	if err != nil {
		return nil, time.Time{}, err
	}
	var e Entry
	_, err = pgx.ForEachRow(rows, []any{&asOf, &e.ID, &e.MemberID, &e.Generation, &e.ExpiresAt}, func() error {
		if e.MemberID != "" { // the last row is there for the time alone
			entries = append(entries, e)
		}
		return nil
	})
	return entries, asOf, err
}

// fail notes that a read has failed, and tells it once.
func (s *Set) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = s.now()
	if !s.troubled {
		s.troubled = true
		s.log.Warn("revocations of tokens cannot be read; what is known counts, and after a while tokens are dealt with as configured",
			"event", "revocations_unknown", "max_age", s.config.MaxAge.String(), "when_stale", s.config.WhenStale, "error", err.Error())
	}
}
