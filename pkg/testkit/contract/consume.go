package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
)

// Consume tests a consumer against a contract. checks has one check per
// interaction, by name, which makes the real client call the provider at url.
// Consume fails t for an interaction without a check, and if the client does not
// send the expected request.
func (c *Contract) Consume(t *testing.T, checks map[string]func(t *testing.T, url string)) {
	t.Helper()
	names := map[string]bool{}
	for _, i := range c.Interactions {
		names[i.Name] = true
		t.Run(i.Name, func(t *testing.T) {
			t.Parallel()
			check, ok := checks[i.Name]
			if !ok {
				t.Fatal(i.failure(fmt.Errorf("no check of %s has this name", c.Consumer)))
			}
			check(t, i.Serve(t))
		})
	}
	for name := range checks {
		if !names[name] {
			t.Errorf("%s → %s has no interaction %q", c.Consumer, c.Provider, name)
		}
	}
}

// Serve serves the response until the test ends, and returns the address.
func (i *Interaction) Serve(t testing.TB) (address string) {
	t.Helper()
	var asked atomic.Bool
	t.Cleanup(func() {
		if !asked.Load() {
			t.Error(i.failure(errors.New("the consumer sent no request")))
		}
	})
	return serve(t, []*Interaction{i}, func() { asked.Store(true) })
}

// Serve stands in for the providers of all these contracts until the test ends, for
// a consumer that sends one request after the other. If several interactions have
// the same request, the first response is served.
func Serve(t testing.TB, contracts ...*Contract) (address string) {
	t.Helper()
	var all []*Interaction
	for _, c := range contracts {
		for n := range c.Interactions {
			all = append(all, &c.Interactions[n])
		}
	}
	return serve(t, all, func() {})
}

func serve(t testing.TB, interactions []*Interaction, asked func()) string {
	t.Helper()
	written := make([]*Interaction, len(interactions))
	for n, i := range interactions {
		var err error
		if written[n], err = i.fill(i.With); err != nil {
			t.Fatal(i.failure(err))
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var differs []error
		for _, i := range written {
			err := i.Request.compare(r, body)
			if err == nil {
				i.Response.write(w)
				return
			}
			differs = append(differs, i.failure(err))
		}
		t.Errorf("%s %s is not in the contract: %v", r.Method, r.URL, errors.Join(differs...))
		http.Error(w, "this request is not in the contract", http.StatusBadRequest)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (r *Response) write(w http.ResponseWriter) {
	for name, value := range r.Headers {
		w.Header().Set(name, value)
	}
	if r.Body == nil {
		w.WriteHeader(r.Status)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(r.Body) // the request counts even if the client is gone
}

// compare returns an error if a request differs from the contract. Headers that the
// contract does not list are ignored.
func (r *Request) compare(got *http.Request, body []byte) error {
	want, err := url.Parse(r.Path)
	if err != nil {
		return err
	}
	if got.Method != r.Method || got.URL.Path != want.Path || !reflect.DeepEqual(got.URL.Query(), want.Query()) {
		return fmt.Errorf("request: is %s %s, want %s %s", got.Method, got.URL.RequestURI(), r.Method, r.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		if value := got.Header.Get(name); value != r.Headers[name] {
			return fmt.Errorf("request: headers.%s: is %q, want %q", name, value, r.Headers[name])
		}
	}
	return r.compareBody(media(got.Header.Get("Content-Type")), body)
}

func (r *Request) compareBody(contentType string, body []byte) error {
	switch {
	case r.Form != nil:
		form, err := url.ParseQuery(string(body))
		if err != nil || contentType != "application/x-www-form-urlencoded" {
			return fmt.Errorf("request: want a form, got %q: %s", contentType, body)
		}
		got := map[string]string{}
		for name := range form {
			got[name] = form.Get(name)
		}
		if !maps.Equal(got, r.Form) {
			return fmt.Errorf("request: form: is %v, want %v", got, r.Form)
		}
	case r.Body != nil:
		var got any
		if err := json.Unmarshal(body, &got); err != nil || contentType != "application/json" {
			return fmt.Errorf("request: want JSON, got %q: %s", contentType, body)
		}
		if !reflect.DeepEqual(got, r.Body) {
			return fmt.Errorf("request: body: is %v, want %v", got, r.Body)
		}
	case len(body) > 0:
		return fmt.Errorf("request: body: is %s, want none", body)
	}
	return nil
}
