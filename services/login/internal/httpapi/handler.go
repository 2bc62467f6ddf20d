// Package httpapi answers the login service's HTTP operations: it reads the
// generated request, calls the login.Service, and writes the generated answer.
// Errors are returned as they are; package server answers them.
package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/login"
)

// noStore keeps tokens and what is said of them out of caches (RFC 6749,
// section 5.1).
const noStore = "no-store"

// Handler implements the generated server interface.
type Handler struct{ logins *login.Service }

// Register puts the operations on the server's ports. clients tells where a
// request comes from.
func Register(s *server.Server, logins *login.Service, operators server.Admin, clients clientaddr.Config) error {
	h := &Handler{logins}
	limited := []echo.MiddlewareFunc{clients.Middleware(), ratelimit.Announce}
	optional := []echo.MiddlewareFunc{withBearer}
	api.RegisterHandlersWithOptions(s.Router().Unsafe(logoutPath), api.NewStrictHandler(h, nil), api.RegisterHandlersOptions{
		OperationMiddlewares: map[string][]echo.MiddlewareFunc{
			"Register": slices.Concat(limited, []echo.MiddlewareFunc{h.limitInvalid}), "Login": limited,
			"ChangePassword": append([]echo.MiddlewareFunc{server.RequireToken(logins.Check)}, limited...),
			"RevokeMember":   {operators.Require(s.Audit())},
			"Logout":         optional, "VerifyToken": optional, "AuthorizeRequest": optional,
		},
	})
	s.Router().Below(verifyPath, h.authorizeLike, withBearer)
	s.CheckBodies(h.rules)
	return s.ServeDocument("login", api.Document)
}

// limitInvalid bounds the invalid registrations of one client. A limit of their own
// keeps people who mistype from using up the few registrations of their address.
func (h *Handler) limitInvalid(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := c.Request().Context()
		invalid := h.logins.Limits().Invalid(ctx)
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

// logoutPath is GET for the clients of the old system, though it revokes a token.
const logoutPath = "/login/logout/"

type bearerKey struct{}

// withBearer hands the token of the Authorization header on, whatever it is
// worth: these operations have an answer for a bad one too.
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
	m, err := h.logins.Register(ctx, readRegistration(*r.Body, names))
	if err != nil {
		return nil, names.Restore(err)
	}
	return api.Register201JSONResponse{MemberID: m.ID, Message: "the member is registered"}, nil
}

// Login answers POST /login/.
func (h *Handler) Login(ctx context.Context, r api.LoginRequestObject) (api.LoginResponseObject, error) {
	names := bind.Names{}
	s, err := h.logins.Login(ctx, readCredentials(*r.Body, names))
	if err != nil {
		return nil, names.Restore(err)
	}
	return api.Login200JSONResponse{
		Body: api.Session{
			Token: s.Token, TokenType: api.Bearer, ExpiresIn: int(s.Lifetime / time.Second),
			MemberID: s.Member.ID, MemberNm: s.Member.Name,
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
	s, err := h.logins.ChangePassword(ctx, claims, readPasswordChange(*r.Body, names))
	if err != nil {
		return nil, names.Restore(err)
	}
	return api.ChangePassword200JSONResponse{
		Body: api.PasswordChanged{
			MemberID: s.Member.ID, Message: "the password is changed, and every other session is over",
			Token: s.Token, TokenType: api.Bearer, ExpiresIn: int(s.Lifetime / time.Second),
		},
		Headers: api.ChangePassword200ResponseHeaders{CacheControl: noStore},
	}, nil
}

// Logout answers GET /login/logout/.
func (h *Handler) Logout(ctx context.Context, _ api.LogoutRequestObject) (api.LogoutResponseObject, error) {
	if err := h.logins.Logout(ctx, bearer(ctx)); err != nil {
		return nil, err
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
