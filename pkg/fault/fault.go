// Package fault is the one error type that crosses layers and services.
//
// A store, a client or a domain service returns a *Error with a coarse Code and a Detail
// that is safe to show to anyone. The cause, which may name hosts, SQL or people, stays in
// Err and reaches only the log. Package problem maps a Code to an HTTP status, and back to
// the same Code in a client, so that an error survives the hop between two services. Any
// other error counts as Internal and shows nothing.
package fault

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is the kind of a failure, by what the caller can do about it.
type Code string

// The codes. Each has exactly one HTTP status, in package problem.
const (
	Invalid          Code = "invalid"            // the input breaks a rule; see Fields
	Unauthenticated  Code = "unauthenticated"    // the caller is unknown
	Forbidden        Code = "forbidden"          // the caller is known, but not allowed
	NotFound         Code = "not_found"          // the object does not exist, or not for this caller
	MethodNotAllowed Code = "method_not_allowed" // the path is there, the method is not
	Conflict         Code = "conflict"           // the state of the object does not allow it
	Unprocessable    Code = "unprocessable"      // valid, but in conflict with an earlier request
	TooLarge         Code = "too_large"          // the body is over the limit
	UnsupportedMedia Code = "unsupported_media"  // the media type of the body is not supported
	RateLimited      Code = "rate_limited"       // too many requests; retry after RetryAfter
	Unavailable      Code = "unavailable"        // another service does not answer; retry after RetryAfter
	Internal         Code = "internal"           // a defect of the service
)

// Field is one bad field of the input: its name as it was sent
// (`lines[2].quantity`) and the rule that it breaks.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a failure with a code.
type Error struct {
	Code       Code
	Detail     string        // one sentence for the caller; never a secret
	Fields     []Field       // with Invalid: every bad field
	RetryAfter time.Duration // with Conflict, RateLimited and Unavailable; 0 is unknown
	Err        error         // the cause, for the log alone
}

// New returns an error without a cause.
func New(code Code, detail string) *Error { return &Error{Code: code, Detail: detail} }

// Wrap returns an error with a cause, which only the log shows.
func Wrap(err error, code Code, detail string) *Error {
	return &Error{Code: code, Detail: detail, Err: err}
}

// InvalidFields returns an Invalid error that names every bad field.
func InvalidFields(fields ...Field) *Error {
	detail := "some fields are not valid"
	if len(fields) == 1 {
		detail = fields[0].Field + " " + fields[0].Message
	}
	return &Error{Code: Invalid, Detail: detail, Fields: fields}
}

// Retry sets RetryAfter and returns e.
func (e *Error) Retry(after time.Duration) *Error {
	e.RetryAfter = after
	return e
}

// Error returns the full text, including the cause, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	b.WriteString(": ")
	b.WriteString(e.Detail)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s %s", f.Field, f.Message)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of err: Internal if err has none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
