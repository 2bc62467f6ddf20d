package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/edge"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/logging"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/token"
)

var errNoPath = fault.New(fault.NotFound, "not found")

// observe counts each request and logs it in one line. Probes and scrapes are left
// out, because they would be most of the log.
func (s *Server) observe(m *metrics) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			m.inFlight.Inc()
			if err := next(c); err != nil {
				c.Error(err)
			}
			route, took := c.Path(), time.Since(start)
			m.ended(c, took)
			if !quiet(route) {
				s.logAccess(c, route, took)
			}
			return nil
		}
	}
}

func (s *Server) logAccess(c echo.Context, route string, took time.Duration) {
	ctx := c.Request().Context()
	level := slog.LevelInfo
	if c.Response().Status == http.StatusNotModified && strings.HasPrefix(route, "/int/") {
		level = slog.LevelDebug // other services poll
	}
	if !s.access.Enabled(ctx, level) {
		return
	}
	r := slog.NewRecord(time.Now(), level, "request", 0)
	r.AddAttrs(
		slog.String("method", shortMethod(c.Request().Method)),
		slog.String("route", route),
		slog.Int("status", c.Response().Status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.Int64("bytes", c.Response().Size),
	)
	if claims, ok := token.FromContext(ctx); ok {
		r.AddAttrs(slog.String("member_id", claims.MemberID))
	}
	_ = s.access.Handle(ctx, r) // slog ignores it too
}

// recoverPanic turns a panic into an error. http.ErrAbortHandler passes, as net/http
// expects.
func (s *Server) recoverPanic(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		return next(c)
	}
}

// protect sets security headers, removes headers that clients must not set, and closes
// connections with an ambiguous request, and all connections of a draining process.
func (s *Server) protect(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		edge.Protect(h)
		edge.Strip(c.Request().Header)
		edge.EndAmbiguous(h, c.Request())
		if s.draining.Load() {
			h.Set(echo.HeaderConnection, "close")
		}
		return next(c)
	}
}

// plain rejects an ambiguous path as not found, before it is routed.
func plain(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !edge.Plain(c.Request().URL) {
			return errNoPath
		}
		return next(c)
	}
}

// limit rejects ambiguous headers, and bounds the body of a request. A body whose
// Content-Length exceeds the limit, or that is compressed, is rejected before it is read.
func (s *Server) limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if name := edge.Repeated(r.Header); name != "" {
			return fault.InvalidFields(fault.Field{Field: name, Message: "must be sent only once"})
		}
		if r.ContentLength > maxBody {
			return bind.TooLarge(maxBody)
		}
		if r.ContentLength != 0 && edge.Encoded(r.Header) {
			c.Response().Header().Set(echo.HeaderAcceptEncoding, "identity") // RFC 9110, section 15.5.16
			return fault.New(fault.UnsupportedMedia, "the body must not be compressed; send it without Content-Encoding")
		}
		if r.ContentLength != 0 {
			r.Body = http.MaxBytesReader(c.Response(), r.Body, maxBody) // r is the copy of traceRequest
		}
		return next(c)
	}
}

// RequireToken admits only requests with a valid Bearer token, and puts its claims into
// the context. check returns the claims, or the reason of a refusal.
func RequireToken(check func(ctx context.Context, raw string) (token.Claims, error)) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			r := c.Request()
			claims, err := check(r.Context(), token.Bearer(r.Header.Get(echo.HeaderAuthorization)))
			if err != nil {
				return err
			}
			c.SetRequest(r.WithContext(token.NewContext(r.Context(), claims)))
			return next(c)
		}
	}
}

// errorHandler answers with err, and logs it once: failures of the service with their
// cause as errors, refusals as debug lines.
func (s *Server) errorHandler(err error, c echo.Context) {
	ctx := c.Request().Context()
	err = fromEcho(err)
	code := fault.CodeOf(err)
	told := []any{"method", shortMethod(c.Request().Method), "route", c.Path(), "code", string(code), "error", err.Error()}
	switch {
	case code != fault.Internal && code != fault.Unavailable:
		s.log.DebugContext(ctx, "request refused", told...)
	case errors.Is(err, context.Canceled) || errors.Is(err, admission.ErrBusy): // the client went away, or the gate has logged it
		s.log.DebugContext(ctx, "request failed", told...)
	default:
		trace.SpanFromContext(ctx).RecordError(err)
		s.log.ErrorContext(ctx, "request failed", told...)
	}
	if c.Response().Committed {
		return
	}
	if code == fault.Unauthenticated {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, token.Challenge(err))
	}
	if err := problem.Write(c.Response(), err, logging.TraceID(ctx)); err != nil {
		s.log.DebugContext(ctx, "the error answer could not be sent", "error", err.Error())
	}
}

// fromEcho converts errors of echo and of the generated code to faults.
func fromEcho(err error) error {
	var known *fault.Error
	var e *echo.HTTPError
	if errors.As(err, &known) || !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case http.StatusNotFound:
		return errNoPath
	case http.StatusMethodNotAllowed:
		return fault.New(fault.MethodNotAllowed, "method not allowed; see the Allow header")
	case http.StatusBadRequest:
		if known := bind.ParameterFault(fmt.Sprint(e.Message)); known != nil {
			return known
		}
		return fault.Wrap(err, fault.Invalid, fmt.Sprint(e.Message))
	default:
		return err
	}
}
