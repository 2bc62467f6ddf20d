package httpapi

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/internal/order"
)

// maxRevoked bounds the memory for revoked tokens to about 3 MiB.
const maxRevoked = 10_000

// tokens verifies tokens. Only the database knows which tokens were revoked, and
// each operation looks its token up in its own batch. A token that was found
// revoked is remembered until it expires, so that its holder cannot use up its
// owner's limits. A good token is never remembered.
type tokens struct {
	keys *token.Keys
	now  func() time.Time

	mu      sync.RWMutex
	revoked map[string]time.Time // by id; the expiry of the token
}

func newTokens(keys *token.Keys, now func() time.Time) *tokens {
	return &tokens{keys: keys, now: now, revoked: map[string]time.Time{}}
}

// check returns the claims of a valid token.
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

// refuse returns a middleware for behind RequireToken. It answers token.ErrRevoked
// for a revoked token, whatever else is wrong with the request, and remembers the
// token. A request that cannot be read never reaches the database, so the
// middleware looks its token up. It does not for a request that the service is too
// busy for: a refusal must not cause work.
func (t *tokens) refuse(store Store) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			ctx := c.Request().Context()
			if member, callerErr := caller(ctx); callerErr == nil && isUnread(err) && errors.Is(store.Check(ctx, member), order.ErrRevoked) {
				err = order.ErrRevoked
			}
			if !errors.Is(err, order.ErrRevoked) {
				return err
			}
			if claims, ok := token.FromContext(ctx); ok {
				t.add(claims)
			}
			return token.ErrRevoked
		}
	}
}

// isUnread reports whether err means that the request could not be read.
func isUnread(err error) bool {
	if generated := (*echo.HTTPError)(nil); errors.As(err, &generated) {
		return generated.Code == http.StatusBadRequest
	}
	switch fault.CodeOf(err) {
	case fault.Invalid, fault.TooLarge, fault.UnsupportedMedia:
		return true
	default:
		return false
	}
}

// add remembers a revoked token. At the bound it first drops expired tokens, and
// then any until a quarter is free. Dropped tokens are looked up again.
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
