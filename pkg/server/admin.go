package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/audit"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/secret"
	"example.com/pizza/pkg/token"
)

// Admin guards the operations of operators. They are on the internal port and require
// a credential as well, because other workloads reach that port too.
type Admin struct {
	Token secret.Text `env:"ADMIN_TOKEN" doc:"Credential of operators, at least 32 bytes, for /log-level, /debug/pprof and the writing operations under /int; empty closes these operations"`
}

// minAdminToken is the minimum length of the admin token in bytes: too long to guess.
const minAdminToken = 32

// Validate reports a token that is short enough to be guessed.
func (a Admin) Validate() error {
	if a.Token != "" && len(a.Token) < minAdminToken {
		return fmt.Errorf("ADMIN_TOKEN must be at least %d bytes long (it has %d), or empty", minAdminToken, len(a.Token))
	}
	return nil
}

// Require admits only requests with the admin token as their Bearer token, and audits
// the others. Without an admin token it rejects all requests.
func (a Admin) Require(told *audit.Log) echo.MiddlewareFunc {
	want := sha256.Sum256([]byte(a.Token))
	refuse := func(shown string) error {
		// Hashes are of one length, so that the comparison takes the same time for
		// every token.
		got := sha256.Sum256([]byte(shown))
		switch {
		case a.Token == "":
			return fault.New(fault.Forbidden, "this operation is closed: ADMIN_TOKEN is not set")
		case shown == "":
			return fault.New(fault.Unauthenticated, "the admin credential is required")
		case subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			return fault.Wrap(token.ErrInvalid, fault.Unauthenticated, "the admin credential is not valid")
		default:
			return nil
		}
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			if err := refuse(token.Bearer(r.Header.Get(echo.HeaderAuthorization))); err != nil {
				told.OperatorRefused(r.Context(), shortMethod(r.Method), c.Path())
				return err
			}
			return next(c)
		}
	}
}
