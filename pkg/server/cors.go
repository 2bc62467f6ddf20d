package server

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// corsMaxAge is how long a browser keeps the answer to a preflight.
const corsMaxAge = 10 * time.Minute

// anyOrigin allows every page. Credentials are never allowed: a page that has a token
// sends it in Authorization; browsers do not add it as they add a cookie.
const anyOrigin = "*"

// cors allows the pages of these origins. Origins are compared as a whole; the library
// would read * and ? as patterns.
func cors(origins []string) echo.MiddlewareFunc {
	c := middleware.CORSConfig{
		AllowOrigins: []string{anyOrigin},
		AllowMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		AllowHeaders: []string{"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Traceparent", "Tracestate", "Baggage"},
		ExposeHeaders: []string{
			"Allow", "ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate",
		},
		MaxAge: int(corsMaxAge.Seconds()),
	}
	if !slices.Contains(origins, anyOrigin) {
		c.AllowOriginFunc = func(origin string) (bool, error) { return slices.Contains(origins, origin), nil }
	}
	return middleware.CORSWithConfig(c)
}

// checkOrigins reports a list that allows all and names some.
func checkOrigins(origins []string) error {
	if slices.Contains(origins, anyOrigin) && len(origins) > 1 {
		return errors.New("CORS_ALLOWED_ORIGINS must name origins or be *, not both")
	}
	return nil
}
