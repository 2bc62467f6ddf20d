package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/token"
)

// requireAdmin lets only callers through that show the admin token as their
// Bearer token. Where there is none, the catalog is closed to everyone.
func requireAdmin(adminToken string) echo.MiddlewareFunc {
	want := sha256.Sum256([]byte(adminToken))
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if adminToken == "" {
				return fault.New(fault.Forbidden, "catalog writes are closed: ADMIN_TOKEN is not set")
			}
			shown := token.Bearer(c.Request().Header.Get(echo.HeaderAuthorization))
			// Hashes are of one length, so that the comparison takes the same time
			// for every token.
			got := sha256.Sum256([]byte(shown))
			switch {
			case shown == "":
				return fault.New(fault.Unauthenticated, "the admin credential is required")
			case subtle.ConstantTimeCompare(got[:], want[:]) != 1:
				return fault.New(fault.Unauthenticated, "the admin credential is not valid")
			default:
				return next(c)
			}
		}
	}
}
