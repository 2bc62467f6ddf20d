// Package problem is the one place where faults meet HTTP: it writes a
// fault.Error as application/problem+json (RFC 9457), and reads such an answer
// back into the same fault in a client.
//
// The cause of a 500 never leaves the process. Its trace_id does, and leads to the log line
// with the cause.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"example.com/pizza/pkg/fault"
)

// ContentType is the media type of every error answer (RFC 9457, section 3).
const ContentType = "application/problem+json"

// Problem is the body of an error answer.
type Problem struct {
	Type    string        `json:"type"`
	Title   string        `json:"title"`
	Status  int           `json:"status"`
	Detail  string        `json:"detail"`
	Error   string        `json:"error"` // repeats Detail for clients of the old system
	TraceID string        `json:"trace_id,omitempty"`
	Errors  []fault.Field `json:"errors,omitempty"`
}

// kinds is the whole mapping between codes and HTTP. Order matters on the way
// back: the first code of a status wins.
var kinds = []struct {
	code   fault.Code
	status int
}{
	{fault.Invalid, http.StatusBadRequest},
	{fault.Unauthenticated, http.StatusUnauthorized},
	{fault.Forbidden, http.StatusForbidden},
	{fault.NotFound, http.StatusNotFound},
	{fault.MethodNotAllowed, http.StatusMethodNotAllowed},
	{fault.Conflict, http.StatusConflict},
	{fault.Unprocessable, http.StatusUnprocessableEntity},
	{fault.TooLarge, http.StatusRequestEntityTooLarge},
	{fault.UnsupportedMedia, http.StatusUnsupportedMediaType},
	{fault.RateLimited, http.StatusTooManyRequests},
	{fault.Unavailable, http.StatusServiceUnavailable},
	{fault.Internal, http.StatusInternalServerError},
}

// Status returns the HTTP status of a code.
func Status(code fault.Code) int {
	for _, k := range kinds {
		if k.code == code {
			return k.status
		}
	}
	return http.StatusInternalServerError
}

// code returns the fault code of an HTTP error status: that of the status, or else that of
// its class.
func code(status int) fault.Code {
	for _, k := range kinds {
		if k.status == status {
			return k.code
		}
	}
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		return fault.Unavailable
	case status >= 400 && status < 500:
		return fault.Invalid
	default:
		return fault.Internal
	}
}

// From returns the problem that a caller may see for err.
func From(err error, traceID string) Problem {
	status, detail := http.StatusInternalServerError, "an internal error; quote the trace_id when you report it"
	var fields []fault.Field
	var e *fault.Error
	if errors.As(err, &e) && e.Code != fault.Internal {
		status, detail, fields = Status(e.Code), e.Detail, e.Fields
	}
	return Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: detail, Error: detail, TraceID: traceID, Errors: fields,
	}
}

// Write answers with err. On 401 it sets WWW-Authenticate (RFC 6750, section 3),
// unless the header is set already. It sets Retry-After, in whole seconds, if the fault has
// one.
func Write(w http.ResponseWriter, err error, traceID string) error {
	p := From(err, traceID)
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Bearer realm="pizza"`)
	}
	var e *fault.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	w.WriteHeader(p.Status)
	return json.NewEncoder(w).Encode(p)
}

// maxProblem bounds the error answer that a client reads.
const maxProblem = 64 << 10

// Read returns the fault of an error answer, with its code, detail, fields and Retry-After.
// It reads the body and does not close it. An answer without a problem document maps by
// its status.
func Read(resp *http.Response) error {
	e := &fault.Error{Code: code(resp.StatusCode), Detail: http.StatusText(resp.StatusCode)}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		e.Err = fmt.Errorf("read the error answer: %w", err)
		return e
	}
	var p Problem
	if err := json.Unmarshal(body, &p); err != nil {
		e.Err = fmt.Errorf("answer %d with a body that is no problem document: %w", resp.StatusCode, err)
		return e
	}
	if p.Detail != "" {
		e.Detail = p.Detail
	}
	e.Fields = p.Errors
	e.Err = fmt.Errorf("answer %d, trace_id %s", resp.StatusCode, p.TraceID)
	return e
}
