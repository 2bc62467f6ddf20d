// Package httpapi serves the login service's HTTP operations. A handler reads the
// generated request, calls the login.Service within the limits of its client and
// account, and returns the generated answer. Package server answers errors.
package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/limits"
	"example.com/pizza/services/login/internal/login"
)

// noStore keeps tokens and answers about them out of caches (RFC 6749, section 5.1).
const noStore = "no-store"

// Handler implements the generated server interface.
type Handler struct {
	logins   *login.Service
	policy   *password.Policy
	limits   limits.Limits
	keys     *token.Keys
	lifetime time.Duration // of new tokens
	counts   counts
}

// New returns a handler. Its metrics are in registry.
func New(
	logins *login.Service, policy *password.Policy, l limits.Limits, keys *token.Keys, lifetime time.Duration, registry prometheus.Registerer,
) *Handler {
	return &Handler{logins: logins, policy: policy, limits: l, keys: keys, lifetime: lifetime, counts: newCounts(registry)}
}

// Mount puts the operations on the server's ports. clients finds the address of
// a request's client.
func (h *Handler) Mount(s *server.Server, operators server.Admin, clients clientaddr.Config) error {
	limited := []echo.MiddlewareFunc{clients.Middleware(), ratelimit.Announce}
	optional := []echo.MiddlewareFunc{withBearer}
	api.RegisterHandlersWithOptions(s.Router().Unsafe(logoutPath), api.NewStrictHandler(h, nil), api.RegisterHandlersOptions{
		OperationMiddlewares: map[string][]echo.MiddlewareFunc{
			"Register": slices.Concat(limited, []echo.MiddlewareFunc{h.limitInvalid}), "Login": limited,
			"ChangePassword": append([]echo.MiddlewareFunc{server.RequireToken(h.check)}, limited...),
			"RevokeMember":   {operators.Require(s.Audit())},
			"Logout":         optional, "VerifyToken": optional, "AuthorizeRequest": optional,
		},
	})
	s.Router().Below(verifyPath, h.authorizeLike, withBearer)
	s.CheckBodies(h.rules)
	return s.ServeDocument("login", api.Document)
}

// check verifies a token and looks up whether it was revoked. It returns
// token.ErrMissing, ErrInvalid, ErrExpired or ErrRevoked, or Unavailable.
func (h *Handler) check(ctx context.Context, raw string) (token.Claims, error) {
	claims, err := h.keys.Verify(raw)
	if err != nil {
		return token.Claims{}, err
	}
	revoked, err := h.logins.IsRevoked(ctx, tokenOf(claims))
	if err == nil && revoked {
		err = token.ErrRevoked
	}
	if err != nil {
		return token.Claims{}, err
	}
	return claims, nil
}

func tokenOf(c token.Claims) login.Token {
	return login.Token{ID: c.ID, MemberID: c.MemberID, Generation: c.Generation, ExpiresAt: c.ExpiresAt}
}

// limitInvalid bounds the invalid registrations of one client. A limit of their own
// keeps people who mistype from using up the few registrations of their address.
func (h *Handler) limitInvalid(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		invalid := h.limits.Invalid(ctx)
		if err := ratelimit.Check(ctx, invalid); err != nil {
			return err
		}
		err := next(c)
		if fault.CodeOf(err) != fault.Invalid {
			return err
		}
		if _, limited := ratelimit.Spend(ctx, invalid); limited != nil {
			return limited
		}
		return err
	}
}

// logoutPath is a GET that changes something: clients of the old system use it.
const logoutPath = "/login/logout/"

type bearerKey struct{}

// withBearer passes the token of the Authorization header on without a check, for
// operations that have an answer for a bad token.
func withBearer(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		raw := token.Bearer(r.Header.Get(echo.HeaderAuthorization))
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), bearerKey{}, raw)))
		return next(c)
	}
}

// bearer returns the token of the Authorization header, or "".
func bearer(ctx context.Context) string {
	raw, _ := ctx.Value(bearerKey{}).(string)
	return raw
}

// Register answers POST /login/register/.
func (h *Handler) Register(ctx context.Context, r api.RegisterRequestObject) (api.RegisterResponseObject, error) {
	names := bind.Names{}
	registration := readRegistration(*r.Body, names)
	attempt := h.limits.Register(ctx, registration.ID)
	m, err := h.logins.Register(ctx, registration, attempt)
	attempt.End(ctx, err)
	h.counts.registrations.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		return nil, names.Restore(err)
	}
	return api.Register201JSONResponse{MemberID: m.ID, Message: "the member is registered"}, nil
}

// Login answers POST /login/.
func (h *Handler) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	names := bind.Names{}
	credentials := readCredentials(*r.Body, names)
	attempt := h.limits.Password(ctx, credentials.ID)
	m, err := h.logins.Login(ctx, credentials, attempt)
	attempt.End(ctx, err)
	var signed string
	if err == nil {
		signed, err = h.keys.Issue(m.ID, m.Generation, h.lifetime)
	}
	h.counts.logins.WithLabelValues(outcome(err)).Inc()
	if err != nil {
		return nil, names.Restore(err)
	}
	return api.Login200JSONResponse{
		Body: api.Session{
			Token: signed, TokenType: api.Bearer, ExpiresIn: int(h.lifetime / time.Second),
			MemberID: m.ID, MemberNm: m.Name,
		},
		Headers: api.Login200ResponseHeaders{CacheControl: noStore},
	}, nil
}

// ChangePassword answers POST /login/password/.
func (h *Handler) ChangePassword(ctx context.Context, r api.ChangePasswordRequestObject) (api.ChangePasswordResponseObject, error) {
	claims, ok := token.FromContext(ctx)
	if !ok {
		return nil, token.ErrMissing
	}
	names := bind.Names{}
	attempt := h.limits.Password(ctx, claims.MemberID)
	m, err := h.logins.ChangePassword(ctx, claims.MemberID, readPasswordChange(*r.Body, names), attempt)
	attempt.End(ctx, err)
	if err != nil {
		return nil, names.Restore(err)
	}
	signed, err := h.keys.Issue(m.ID, m.Generation, h.lifetime)
	if err != nil {
		return nil, err
	}
	return api.ChangePassword200JSONResponse{
		Body: api.PasswordChanged{
			MemberID: m.ID, Message: "the password was changed, and all other sessions have ended",
			Token: signed, TokenType: api.Bearer, ExpiresIn: int(h.lifetime / time.Second),
		},
		Headers: api.ChangePassword200ResponseHeaders{CacheControl: noStore},
	}, nil
}

// Logout answers GET /login/logout/. A bad token needs no logout.
func (h *Handler) Logout(ctx context.Context, _ api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	if claims, err := h.keys.Verify(bearer(ctx)); err == nil {
		if err := h.logins.Logout(ctx, tokenOf(claims)); err != nil {
			return nil, err
		}
	}
	return api.Logout200JSONResponse{Status: api.LoggedOutStatusLoggedOut, Message: "the token is no longer valid"}, nil
}

// RevokeMember answers POST /int/auth/revoke.
func (h *Handler) RevokeMember(ctx context.Context, r api.RevokeMemberRequestObject) (api.RevokeMemberResponseObject, error) {
	memberID := text(r.Body.MemberID)
	if err := h.logins.RevokeMember(ctx, memberID); err != nil {
		return nil, err
	}
	return api.RevokeMember200JSONResponse{MemberID: memberID, Message: "no token of the member is valid any more"}, nil
}
