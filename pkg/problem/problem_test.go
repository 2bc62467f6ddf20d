package problem_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/problem"
)

// An error must survive the hop: a fault that one service writes is the same fault
// in the calling service.
func TestErrorSurvivesTheHop(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7:5432: password=hunter2")
	tests := map[string]struct {
		err    error
		status int
		want   *fault.Error
	}{
		"invalid_with_fields": {
			fault.InvalidFields(fault.Field{Field: "size", Message: "is required"}, fault.Field{Field: "name", Message: "is too long"}), 400,
			&fault.Error{Code: fault.Invalid, Detail: "some fields are not valid", Fields: []fault.Field{{Field: "size", Message: "is required"}, {Field: "name", Message: "is too long"}}},
		},
		"unauthenticated":    {fault.New(fault.Unauthenticated, "who?"), 401, fault.New(fault.Unauthenticated, "who?")},
		"forbidden":          {fault.New(fault.Forbidden, "no"), 403, fault.New(fault.Forbidden, "no")},
		"not_found":          {fault.New(fault.NotFound, "none"), 404, fault.New(fault.NotFound, "none")},
		"method_not_allowed": {fault.New(fault.MethodNotAllowed, "GET"), 405, fault.New(fault.MethodNotAllowed, "GET")},
		"conflict":           {fault.New(fault.Conflict, "taken"), 409, fault.New(fault.Conflict, "taken")},
		"in_work":            {fault.New(fault.Conflict, "soon").Retry(time.Second), 409, fault.New(fault.Conflict, "soon").Retry(time.Second)},
		"unprocessable":      {fault.New(fault.Unprocessable, "not what it was"), 422, fault.New(fault.Unprocessable, "not what it was")},
		"too_large":          {fault.New(fault.TooLarge, "big"), 413, fault.New(fault.TooLarge, "big")},
		"unsupported_media":  {fault.New(fault.UnsupportedMedia, "xml"), 415, fault.New(fault.UnsupportedMedia, "xml")},
		"rate_limited":       {fault.New(fault.RateLimited, "slow").Retry(1500 * time.Millisecond), 429, fault.New(fault.RateLimited, "slow").Retry(2 * time.Second)},
		"unavailable":        {fault.Wrap(secret, fault.Unavailable, "away").Retry(5 * time.Second), 503, fault.New(fault.Unavailable, "away").Retry(5 * time.Second)},
		"foreign_error": {
			secret, 500,
			fault.New(fault.Internal, "an internal error; quote the trace_id when you report it"),
		},
		"internal_says_nothing": {
			fault.Wrap(secret, fault.Internal, "table orders is broken"), 500,
			fault.New(fault.Internal, "an internal error; quote the trace_id when you report it"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			if err := problem.Write(w, test.err, "4bf92f3577b34da6a3ce929d0e0e4736"); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "table orders") {
				t.Errorf("the answer leaks its cause: %s", w.Body)
			}
			resp := w.Result()
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			if got := resp.Header.Get("Content-Type"); got != problem.ContentType {
				t.Errorf("Content-Type %q", got)
			}
			if got := resp.Header.Get("WWW-Authenticate") != ""; got != (test.status == 401) {
				t.Errorf("WWW-Authenticate present: %v", got)
			}
			var got *fault.Error
			if !errors.As(problem.Read(resp), &got) {
				t.Fatal("no fault")
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(fault.Error{}, "Err")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWriteKeepsTheKeysOfOldClients(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := problem.Write(w, fault.New(fault.NotFound, "no such order"), "abc"); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "about:blank", "title": "Not Found", "status": 404.0,
		"detail": "no such order", "error": "no such order", "trace_id": "abc",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadForeignAnswer(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]fault.Code{
		http.StatusBadGateway: fault.Unavailable, http.StatusGatewayTimeout: fault.Unavailable,
		http.StatusTeapot: fault.Invalid, http.StatusNotImplemented: fault.Internal, http.StatusNotFound: fault.NotFound,
	} {
		resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("<html>"))}
		if got := fault.CodeOf(problem.Read(resp)); got != want {
			t.Errorf("%d is %s, want %s", status, got, want)
		}
	}
}

// Every error response becomes a fault with the code of its status.
func FuzzRead(f *testing.F) {
	f.Add(503, "5", `{"detail":"busy","errors":[{"field":"a","message":"b"}]}`)
	f.Add(400, "-1", `[]`)
	f.Add(0, "99999999999999999999", "{\"errors\":{}}")
	f.Fuzz(func(t *testing.T, status int, after, body string) {
		r := &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}, Body: io.NopCloser(strings.NewReader(body))}
		err := problem.Read(r)
		var e *fault.Error
		if !errors.As(err, &e) || e.RetryAfter < 0 {
			t.Fatalf("%d %q: %v", status, body, err)
		}
		if sent := problem.Status(e.Code); status >= 400 && status < 500 && sent >= 500 {
			t.Errorf("%d is passed on as %d", status, sent)
		}
	})
}
