// Package bind reads request bodies into the structs that are generated from
// the OpenAPI documents.
//
// Binder plugs into echo. A body is a JSON object or an HTML form with the same field
// names. One walk over the struct reads both, and continues after a bad field, so that
// the answer names all bad fields at once. The package checks types; the service checks
// the meaning of values. Unknown fields are ignored, and null counts as absent.
//
// A body must mean the same to every reader (RFC 7493): strings and names have no half
// of a surrogate pair and no invalid UTF-8, objects have no duplicate name, and a field
// with several names (the struct tag alias has the first one) has equal values under
// them. Forms and queries follow the URL Standard.
//
// Names lets a handler accept a field under an old and a new name, and still name it in
// errors as it was sent. Parameter reads parameters of a query or a header that are not
// plain text.
package bind

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"example.com/pizza/pkg/fault"
)

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"

	byteOrderMark = "\ufeff" // ignored where a body begins (RFC 8259, section 8.1)
)

// Rules returns the rules of its service that a body breaks, as Invalid with the fields
// named as they were sent, or nil for an unknown body.
type Rules func(body any) error

// Binder is an echo.Binder for bodies. The generated code binds path and query.
type Binder struct {
	// Rules, if set, checks a body that has fields of a wrong type, so that one answer
	// names these and all other bad fields.
	Rules Rules
}

// Bind reads the body of the request into the struct that target points to. It
// returns Invalid with every bad field, UnsupportedMedia, or TooLarge. An empty
// body is Invalid with io.EOF as its cause, which tells generated code that an optional
// body is absent.
func (b Binder) Bind(target any, c echo.Context) error {
	r := c.Request()
	media, err := mediaType(r.Header.Get(echo.HeaderContentType))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return TooLarge(tooLarge.Limit)
	case err != nil:
		return fault.Wrap(err, fault.Invalid, "the body could not be read")
	}
	body = bytes.TrimPrefix(body, []byte(byteOrderMark))
	switch {
	case len(body) == 0:
		return fault.Wrap(io.EOF, fault.Invalid, "the body is empty; a JSON object is expected")
	case media == mediaForm:
		return b.complete(Form(body, target), target)
	default:
		return b.complete(JSON(body, target), target)
	}
}

// TooLarge returns the fault of a body of more than limit bytes.
func TooLarge(limit int64) error {
	return fault.New(fault.TooLarge, fmt.Sprintf("the body must not be larger than %d bytes", limit))
}

// complete adds the rules that other fields break to the fields of a wrong type. A
// field of a wrong type was read as its zero value, so rules about it, and about its
// parents, are left out.
func (b Binder) complete(err error, target any) error {
	var wrong, broken *fault.Error
	if b.Rules == nil || !errors.As(err, &wrong) || len(wrong.Fields) == 0 || !errors.As(b.Rules(target), &broken) {
		return err
	}
	fields := slices.Clone(wrong.Fields)
	for _, f := range broken.Fields {
		if !slices.ContainsFunc(wrong.Fields, func(w fault.Field) bool { return within(f.Field, w.Field) || within(w.Field, f.Field) }) {
			fields = append(fields, f)
		}
	}
	return fault.InvalidFields(fields...)
}

// within reports whether a path is equal to another path or below it.
func within(path, other string) bool {
	rest, ok := strings.CutPrefix(path, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// mediaType returns the media type of a body. JSON is the default.
func mediaType(contentType string) (string, error) {
	if contentType == "" {
		return mediaJSON, nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || (media != mediaJSON && media != mediaForm) {
		return "", fault.New(fault.UnsupportedMedia, "Content-Type must be "+mediaJSON+" or "+mediaForm)
	}
	switch strings.ToLower(parameters["charset"]) {
	case "", "utf-8", "utf8", "us-ascii": // ASCII is UTF-8
	default:
		return "", fault.New(fault.UnsupportedMedia, "the charset of Content-Type must be utf-8")
	}
	return media, nil
}

// JSON reads a JSON object into the struct that target points to. It returns
// Invalid.
func JSON(body []byte, target any) error {
	var w walk
	v, ok := parse(body, "", &w.report)
	switch {
	case !ok:
		return fault.New(fault.Invalid, "the body is not valid JSON")
	case v.kind != object:
		return fault.New(fault.Invalid, "the body must be a JSON object")
	}
	return w.read(v, target)
}

// read fills the struct that target points to, and returns every bad field.
func (w *walk) read(v value, target any) error {
	w.fill(v, reflect.ValueOf(target).Elem(), "")
	return w.err()
}

// isFieldOf reports whether the struct that target points to has a field of this
// name.
func isFieldOf(target any, name string) bool {
	t := reflect.TypeOf(target).Elem()
	for i := range t.NumField() {
		if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name && tag != "-" {
			return true
		}
	}
	return false
}
