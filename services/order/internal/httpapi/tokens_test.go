package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// A token that the database reported as revoked is rejected without another
// query, and no other token is.
func TestRevokedTokensAreRemembered(t *testing.T) {
	t.Parallel()
	keys := token.NewKeys(token.Config{Secret: "an-order-test-secret-of-32-bytes-or-more"}, time.Now)
	tokens := newTokens(keys, time.Now)
	issue := func() (raw string, c token.Claims) {
		t.Helper()
		raw, err := keys.Issue("kim", 0, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = tokens.check(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
		return raw, c
	}
	// use runs an operation that returns this error.
	use := func(c token.Claims, with error) error {
		t.Helper()
		r := httptest.NewRequestWithContext(token.NewContext(t.Context(), c), http.MethodGet, "/", nil)
		next := func(echo.Context) error { return with }
		return tokens.refuse(nil)(next)(echo.New().NewContext(r, httptest.NewRecorder()))
	}
	raw, claims := issue()
	for _, other := range []error{nil, token.ErrMissing, errors.New("broken"), idempotency.ErrInUse} {
		if err := use(claims, other); !errors.Is(err, other) {
			t.Errorf("%v becomes %v", other, err)
		}
		if _, err := tokens.check(t.Context(), raw); err != nil {
			t.Errorf("after %v: %v", other, err)
		}
	}
	if err := use(claims, fmt.Errorf("list: %w", order.ErrRevoked)); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("%v", err)
	}
	if _, err := tokens.check(t.Context(), raw); !errors.Is(err, token.ErrRevoked) {
		t.Errorf("again: %v", err)
	}
	if another, _ := issue(); another == raw {
		t.Error("the same token twice")
	}
}

// The memory is bounded, however many tokens are revoked.
func TestRevokedTokensAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tokens := newTokens(nil, func() time.Time { return now })
	for i := range maxRevoked {
		tokens.add(token.Claims{ID: fmt.Sprint(i), ExpiresAt: now.Add(time.Duration(i%2) * time.Hour)})
	}
	now = now.Add(time.Minute) // half of them have expired
	tokens.add(token.Claims{ID: "new", ExpiresAt: now.Add(time.Hour)})
	if n := len(tokens.revoked); n != maxRevoked/2+1 {
		t.Errorf("%d tokens, want those that have not expired", n)
	}
	for i := range 2 * maxRevoked {
		id := fmt.Sprint("late ", i)
		tokens.add(token.Claims{ID: id, ExpiresAt: now.Add(time.Hour)})
		if _, there := tokens.revoked[id]; !there || len(tokens.revoked) > maxRevoked {
			t.Fatalf("%s of %d is there: %v", id, len(tokens.revoked), there)
		}
	}
}
