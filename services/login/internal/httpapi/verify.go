package httpapi

import (
	"context"
	"errors"
	"net/url"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/login/api"
)

// VerifyToken answers POST /int/auth/verify.
func (h *Handler) VerifyToken(ctx context.Context, r api.VerifyTokenRequestObject) (api.VerifyTokenResponseObject, error) {
	raw := bearer(ctx)
	if r.Body != nil && text(r.Body.Token) != "" {
		raw = *r.Body.Token
	}
	if raw == "" {
		return api.VerifyToken400JSONResponse{Valid: false}, nil
	}
	claims, err := h.check(ctx, raw)
	if fault.CodeOf(err) == fault.Unauthenticated {
		return api.VerifyToken401JSONResponse{BadTokenJSONResponse: badToken(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	return api.VerifyToken200JSONResponse{
		Body:    api.GoodToken{Valid: true, MemberID: claims.MemberID},
		Headers: api.VerifyToken200ResponseHeaders{CacheControl: noStore},
	}, nil
}

// AuthorizeRequest answers GET /int/auth/verify.
func (h *Handler) AuthorizeRequest(ctx context.Context, _ api.AuthorizeRequestRequestObject) (api.AuthorizeRequestResponseObject, error) {
	claims, err := h.check(ctx, bearer(ctx))
	if fault.CodeOf(err) == fault.Unauthenticated {
		return api.AuthorizeRequest401JSONResponse{BadTokenJSONResponse: badToken(err)}, nil
	}
	if err != nil {
		return nil, err
	}
	return api.AuthorizeRequest200JSONResponse{
		Body: api.GoodToken{Valid: true, MemberID: claims.MemberID},
		Headers: api.AuthorizeRequest200ResponseHeaders{
			// An id can be Korean or contain a line end; a header cannot.
			XUserID:      url.PathEscape(claims.MemberID),
			CacheControl: noStore,
		},
	}, nil
}

// verifyPath is the path at which gateways verify the token of a request.
const verifyPath = "/int/auth/verify"

// authorizeLike is AuthorizeRequest for Envoy, which sends the method and the path of
// the original request behind verifyPath. No document can describe such paths.
func (h *Handler) authorizeLike(c echo.Context) error {
	answer, err := h.AuthorizeRequest(c.Request().Context(), api.AuthorizeRequestRequestObject{})
	if err != nil {
		return err
	}
	return answer.VisitAuthorizeRequestResponse(c.Response())
}

// badToken returns the answer for a bad token, with the reason.
func badToken(err error) api.BadTokenJSONResponse {
	reason := api.RefusalReasonInvalid
	switch {
	case errors.Is(err, token.ErrExpired):
		reason = api.RefusalReasonExpired
	case errors.Is(err, token.ErrRevoked):
		reason = api.RefusalReasonRevoked
	}
	return api.BadTokenJSONResponse{
		Body:    api.RefusedToken{Valid: false, Reason: reason},
		Headers: api.BadTokenResponseHeaders{WWWAuthenticate: token.Challenge(err), CacheControl: noStore},
	}
}
