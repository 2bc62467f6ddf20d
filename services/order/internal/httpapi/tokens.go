package httpapi

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

// maxRevoked bounds the memory for revoked tokens to about 3 MiB.
const maxRevoked = 10_000

// tokens verifies tokens. Only the database knows which ones were revoked, and
// each operation asks it in its own batch. What the database has said of a revoked
// token is remembered until the token expires, so that its holder cannot go on
// using up its owner's limits. It is never remembered that a token is good.
type tokens struct {
	keys *token.Keys
	now  func() time.Time

	mu      sync.RWMutex
	revoked map[string]time.Time // by id; when the token expires
}

func newTokens(keys *token.Keys, now func() time.Time) *tokens {
	return &tokens{keys: keys, now: now, revoked: map[string]time.Time{}}
}

// check returns the claims of a token, or why it is refused.
func (t *tokens) check(_ context.Context, raw string) (token.Claims, error) {
	claims, err := t.keys.Verify(raw)
	if err != nil {
		return token.Claims{}, err
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if _, revoked := t.revoked[claims.ID]; revoked {
		return token.Claims{}, token.ErrRevoked
	}
	return claims, nil
}

// remember is a middleware of operations. It turns order.ErrRevoked into
// token.ErrRevoked, and remembers the token.
func (t *tokens) remember(next api.StrictHandlerFunc, _ string) api.StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		response, err := next(c, request)
		if !errors.Is(err, order.ErrRevoked) {
			return response, err
		}
		if claims, ok := token.FromContext(c.Request().Context()); ok {
			t.add(claims)
		}
		return nil, token.ErrRevoked
	}
}

// add makes room for a quarter of the tokens where there is none: it forgets the
// expired ones, and then any. The database is asked about those again.
func (t *tokens) add(c token.Claims) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.revoked) >= maxRevoked {
		expired := t.now().Add(-token.Leeway)
		for id, expires := range t.revoked {
			if expires.Before(expired) {
				delete(t.revoked, id)
			}
		}
		for id := range t.revoked {
			if len(t.revoked) <= maxRevoked*3/4 {
				break
			}
			delete(t.revoked, id)
		}
	}
	t.revoked[c.ID] = c.ExpiresAt
}
