// Package apitest holds a service to its OpenAPI document.
//
// Transport is an http.RoundTripper for tests: it checks every answer against
// the document (status, headers, media type, body), and, whenever the service
// accepted a request, that the document would have accepted it too. A request
// that the document refuses may only be answered with an error. So neither can
// drift from the other without a test failing.
package apitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Transport checks what passes through it against documents.
type Transport struct {
	tb      testing.TB
	routers []routers.Router
	next    http.RoundTripper
}

// New returns a transport that holds to the given OpenAPI documents (YAML or
// JSON) all that passes through next; nil is http.DefaultTransport. It fails tb
// at once where a document is not valid itself, examples included.
func New(tb testing.TB, next http.RoundTripper, documents ...[]byte) *Transport {
	tb.Helper()
	if next == nil {
		next = http.DefaultTransport
	}
	t := &Transport{tb: tb, next: next}
	for _, text := range documents {
		doc, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			tb.Fatalf("load the OpenAPI document: %v", err)
		}
		doc.Servers = nil
		if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
			tb.Fatalf("the OpenAPI document is not valid: %v", err)
		}
		r, err := gorillamux.NewRouter(doc)
		if err != nil {
			tb.Fatalf("route the OpenAPI document: %v", err)
		}
		t.routers = append(t.routers, r)
	}
	return t
}

// Operation returns what the documents say about a method of a path, or nil where
// they do not know it.
func (t *Transport) Operation(method, path string) *openapi3.Operation {
	r := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}}
	if found := t.input(r, nil); found != nil {
		return found.Route.Operation
	}
	return nil
}

// RoundTrip sends the request, and fails the test where request or answer break
// the document.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := drain(&r.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	documented := t.input(r, body)
	resp, err := t.next.RoundTrip(r)
	if err != nil || documented == nil {
		return resp, err
	}
	answer, err := drain(&resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	name := fmt.Sprintf("%s %s -> %d", r.Method, r.URL.Path, resp.StatusCode)
	if err := openapi3filter.ValidateRequest(r.Context(), documented); err != nil && resp.StatusCode < http.StatusBadRequest {
		t.tb.Errorf("%s: the service accepts what its document refuses: %v", name, err)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: documented, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	out.SetBodyBytes(answer)
	if r.Method != http.MethodHead {
		if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
			t.tb.Errorf("%s: the answer breaks the document: %v\n%s", name, err, answer)
		}
	}
	return resp, nil
}

// input finds the operation of a request; nil for a path or method that no
// document knows.
func (t *Transport) input(r *http.Request, body []byte) *openapi3filter.RequestValidationInput {
	if strings.HasSuffix(r.URL.Path, "/openapi.json") {
		return nil // the document does not describe itself, and may have /{id}/ at this place
	}
	for _, path := range spellings(r.URL.Path) {
		clone := r.Clone(r.Context())
		clone.URL.Path, clone.URL.RawPath = path, ""
		clone.URL.RawQuery = escape(clone.URL.RawQuery)
		body = bytes.TrimPrefix(body, []byte("\ufeff"))
		if strings.HasPrefix(clone.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
			body = []byte(escape(string(body)))
		}
		clone.Body = io.NopCloser(bytes.NewReader(body))
		if clone.Header.Get("Content-Type") == "" {
			clone.Header.Set("Content-Type", "application/json") // as package bind reads it
		}
		if clone.Method == http.MethodHead {
			clone.Method = http.MethodGet
		}
		for _, router := range t.routers {
			if route, params, err := router.FindRoute(clone); err == nil {
				for name, escaped := range params { // the schema is about what they stand for
					if params[name], err = url.PathUnescape(escaped); err != nil {
						t.tb.Errorf("path parameter %s: %v", name, err)
					}
				}
				return &openapi3filter.RequestValidationInput{
					Request: clone, PathParams: params, Route: route,
					Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
				}
			}
		}
	}
	return nil
}

// unescaped is a percent-encoded byte, or what net/url refuses and the URL
// Standard takes for a character.
var unescaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}|%|;`)

// escape writes a form or a query so that net/url reads what the URL Standard
// reads in it.
func escape(form string) string {
	return unescaped.ReplaceAllStringFunc(form, func(s string) string {
		if len(s) == 1 {
			return url.QueryEscape(s)
		}
		return s
	})
}

// spellings returns the documented forms of a path that is served bare and
// under /api, with and without the last slash.
func spellings(path string) []string {
	bare := strings.TrimSuffix(strings.TrimPrefix(path, "/api"), "/")
	return []string{bare + "/", bare}
}

// drain reads a body whole and puts a fresh copy in its place.
func drain(body *io.ReadCloser) ([]byte, error) {
	if *body == nil || *body == http.NoBody {
		return nil, nil
	}
	data, err := io.ReadAll(*body)
	err = errors.Join(err, (*body).Close())
	*body = io.NopCloser(bytes.NewReader(data))
	return data, err
}
