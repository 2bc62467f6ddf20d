// Package apitest checks a service against its OpenAPI document.
//
// Transport is an http.RoundTripper for tests. It checks every response against
// the document (status, headers, media type, body). It also fails the test if the
// service accepts a request that the document rejects. So neither can drift from
// the other without a failing test.
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

// Transport checks requests and responses against documents.
type Transport struct {
	tb      testing.TB
	routers []routers.Router
	next    http.RoundTripper
}

// New returns a transport that checks all traffic through next against the given
// OpenAPI documents (YAML or JSON). A nil next means http.DefaultTransport. New
// fails tb if a document or one of its examples is invalid.
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

// RoundTrip sends the request. It fails the test if the request or the response
// violates the document.
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
		t.tb.Errorf("%s: the service accepts a request that its document rejects: %v", name, err)
	}
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: documented, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	out.SetBodyBytes(answer)
	if r.Method != http.MethodHead {
		if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
			t.tb.Errorf("%s: the response violates the document: %v\n%s", name, err, answer)
		}
	}
	return resp, nil
}

// input finds the operation of a request. It returns nil if no document has the
// path and method.
func (t *Transport) input(r *http.Request, body []byte) *openapi3filter.RequestValidationInput {
	if strings.HasSuffix(r.URL.Path, "/openapi.json") {
		return nil // not documented, but a documented /{id}/ could match it
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
			clone.Header.Set("Content-Type", "application/json") // the default of package bind
		}
		if clone.Method == http.MethodHead {
			clone.Method = http.MethodGet
		}
		for _, router := range t.routers {
			if route, params, err := router.FindRoute(clone); err == nil {
				for name, escaped := range params { // the schema describes the decoded values
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

// unescaped matches a percent-encoded byte, or a character that net/url rejects
// and the URL Standard takes literally.
var unescaped = regexp.MustCompile(`%[0-9A-Fa-f]{2}|%|;`)

// escape rewrites a form or query so that net/url parses it as the URL Standard
// does.
func escape(form string) string {
	return unescaped.ReplaceAllStringFunc(form, func(s string) string {
		if len(s) == 1 {
			return url.QueryEscape(s)
		}
		return s
	})
}

// spellings returns the documented forms of a path that is served bare and
// under /api, with and without a trailing slash.
func spellings(path string) []string {
	bare := strings.TrimSuffix(strings.TrimPrefix(path, "/api"), "/")
	return []string{bare + "/", bare}
}

// drain reads a whole body and replaces it with a fresh copy.
func drain(body *io.ReadCloser) ([]byte, error) {
	if *body == nil || *body == http.NoBody {
		return nil, nil
	}
	data, err := io.ReadAll(*body)
	err = errors.Join(err, (*body).Close())
	*body = io.NopCloser(bytes.NewReader(data))
	return data, err
}
