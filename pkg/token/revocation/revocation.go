// Package revocation knows the tokens that were withdrawn, so that a check of a
// token asks nobody:
//
//	revoked_token,  ─ NOTIFY token_revoked ─▶ Set ◀─ Revoked ─ token.Checker
//	revoked_member  ─ read every few seconds ─▶
//
// Whatever writes to the tables notifies in its own transaction, and every process
// that checks tokens listens: a withdrawal counts everywhere as soon as it is
// committed. What was missed is read from the tables, at start, whenever the
// connection was lost, and every few seconds in any case: that read also proves
// that the process is up to date. When none has worked for longer than a bound,
// a check reads first, and when that fails Config says what happens.
//
// An entry is kept until no token that it withdraws can be left.
package revocation

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/notify"
	"example.com/pizza/pkg/token"
)

// Channel is where the database announces each committed withdrawal, with an
// Entry as JSON.
const Channel = "token_revoked"

const (
	readTimeout = 2 * time.Second
	retryAfter  = time.Second // between tries of requests to read from a database that is away
	clockSkew   = time.Minute // between this machine and the database, at most
)

// Entry is one withdrawal: of the token with this id, or, without one, of all
// tokens of the member that are of an older generation.
type Entry struct {
	ID         string    `json:"jti,omitempty"`
	MemberID   string    `json:"member_id"`
	Generation int64     `json:"generation,omitempty"`
	ExpiresAt  time.Time `json:"expires_at"` // of the last token that it withdraws
}

// Set is the withdrawals that count now; it is a token.Revocations. All methods
// may be called at the same time.
type Set struct {
	pool    *pgxpool.Pool
	config  Config
	log     *slog.Logger
	now     func() time.Time
	metrics metrics
	reads   singleflight.Group // of requests

	mu       sync.RWMutex
	tokens   map[string]time.Time // by id; until when
	members  map[string]Entry     // by id
	read     time.Time            // when the last good read began; when the process did, before the first
	loaded   bool                 // there was one
	asOf     time.Time            // of that read, by the database's clock
	failed   time.Time            // when the last read failed
	troubled bool                 // as last logged
}

// New returns a set on the tables that pool reaches. Its numbers are in
// registry; now is the clock, time.Now outside of tests.
func New(pool *pgxpool.Pool, c Config, log *slog.Logger, registry prometheus.Registerer, now func() time.Time) *Set {
	s := &Set{
		pool: pool, config: c, log: log, now: now, read: now(),
		tokens: map[string]time.Time{}, members: map[string]Entry{},
	}
	s.metrics = register(registry, s)
	return s
}

// Run keeps the set up to date until ctx ends.
func (s *Set) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { notify.Listen(ctx, s.pool, Channel, s.handler()) })
	all.Go(func() { s.poll(ctx) })
	all.Wait()
}

func (s *Set) handler() notify.Handler {
	return notify.Handler{
		Connected: func(ctx context.Context) { _ = s.load(ctx, everything) }, // a failure is logged, and the next read is soon
		Notified:  func(_ context.Context, payload string) { s.heard(payload) },
	}
}

// heard takes a notification. One that cannot be read is left to the next read.
func (s *Set) heard(payload string) {
	var e Entry
	if err := json.Unmarshal([]byte(payload), &e); err == nil && e.MemberID != "" {
		s.Add(e)
	}
}

func (s *Set) poll(ctx context.Context) {
	round := time.NewTicker(s.config.Refresh)
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-round.C:
			_ = s.load(ctx, recent) // a failure is logged, and tried again
			s.forget()
		}
	}
}

// Add makes withdrawals count in this process at once. Again is fine.
func (s *Set) Add(entries ...Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		if e.ID != "" {
			s.tokens[e.ID] = e.ExpiresAt
			continue
		}
		if e.Generation >= s.members[e.MemberID].Generation {
			s.members[e.MemberID] = e
		}
	}
}

// forget drops what withdraws no token any more.
func (s *Set) forget() {
	over := s.now().Add(-token.Leeway - clockSkew)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, until := range s.tokens {
		if until.Before(over) {
			delete(s.tokens, id)
		}
	}
	for id, e := range s.members {
		if e.ExpiresAt.Before(over) {
			delete(s.members, id)
		}
	}
}

// Revoked says whether the token that says this was withdrawn. It returns
// Unavailable when what the process knows is too old and cannot be read again,
// unless Config accepts tokens then.
func (s *Set) Revoked(ctx context.Context, c token.Claims) (bool, error) {
	revoked, fresh := s.look(c)
	if revoked || fresh {
		return revoked, nil
	}
	if err := s.catchUp(ctx); err != nil {
		s.mu.RLock()
		loaded := s.loaded
		s.mu.RUnlock()
		// Who has never known anything must not accept: every token would be good.
		if !loaded || s.config.WhenStale == refuse {
			s.metrics.stale.WithLabelValues(refused).Inc()
			return false, &fault.Error{
				Code: fault.Unavailable, Detail: "tokens cannot be checked at the moment; try again",
				RetryAfter: retryAfter, Err: err,
			}
		}
		s.metrics.stale.WithLabelValues(accepted).Inc()
	}
	revoked, _ = s.look(c)
	return revoked, nil
}

// look is what the process knows of a token, and whether that is recent enough.
func (s *Set) look(c token.Claims) (revoked, fresh bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, revoked = s.tokens[c.ID]
	revoked = revoked || c.Generation < s.members[c.MemberID].Generation
	return revoked, s.loaded && s.now().Sub(s.read) <= s.config.MaxAge
}

// catchUp reads for all requests that wait for it at once, and not again soon
// after a failure: the database has enough to do when it comes back.
func (s *Set) catchUp(ctx context.Context) error {
	s.mu.RLock()
	lately := s.now().Sub(s.failed) < retryAfter
	s.mu.RUnlock()
	if lately {
		return errLately
	}
	reading := s.reads.DoChan("", func() (any, error) { return nil, s.load(context.WithoutCancel(ctx), recent) })
	select {
	case r := <-reading:
		return r.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}
