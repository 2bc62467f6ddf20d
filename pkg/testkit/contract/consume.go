package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Consume tests a consumer against a contract. checks has one check per
// interaction, by name, which makes the real client call the provider at url.
// Consume fails t for an interaction without a check, and if the client does not
// send the expected request.
func (c *Contract) Consume(t *testing.T, checks map[string]func(t *testing.T, url string)) {
	t.Helper()
	written := map[string]func(testing.TB) string{}
	for _, i := range c.Interactions {
		written[i.Name] = func(t testing.TB) string { return Serve(t, &Contract{Interactions: []Interaction{i}}) }
	}
	check(t, written, checks)
}

// check runs each named check with the value of the same name in the contract.
func check[T any](t *testing.T, written map[string]func(testing.TB) T, checks map[string]func(*testing.T, T)) {
	t.Helper()
	pair(t, "checks", written, checks)
	for name, give := range written {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checks[name](t, give(t))
		})
	}
}

// pair fails t at once for a name that only the contract or only the caller has.
func pair[W, G any](t testing.TB, what string, written map[string]W, given map[string]G) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(written)), slices.Sorted(maps.Keys(given))); diff != "" {
		t.Fatalf("%s (-written +given):\n%s", what, diff)
	}
}

// Serve stands in for the providers of all these contracts until the test ends, for
// a consumer that sends one request after the other. If several interactions have
// the same request, the first response is served.
func Serve(t testing.TB, contracts ...*Contract) (address string) {
	t.Helper()
	var interactions []Interaction
	for _, c := range contracts {
		interactions = append(interactions, c.Interactions...)
	}
	var asked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(true)
		sent, err := received(r)
		if err != nil {
			t.Error(err)
		}
		var differs []error
		for _, i := range interactions {
			err := i.example.Request.compare(sent)
			if err == nil {
				i.example.Response.write(w)
				return
			}
			differs = append(differs, i.failure(err))
		}
		t.Errorf("%s %s is not in the contract: %v", r.Method, r.URL, errors.Join(differs...))
		http.Error(w, "this request is not in the contract", http.StatusBadRequest)
	}))
	t.Cleanup(func() {
		server.Close()
		for _, i := range interactions {
			if !asked.Load() {
				t.Error(i.failure(errors.New("the consumer sent no request")))
			}
		}
	})
	return server.URL
}

func (r *Response) write(w http.ResponseWriter) {
	if r.Body != nil {
		w.Header().Set("Content-Type", jsonType)
	}
	for name, value := range r.Headers {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.Status)
	if r.Body != nil {
		_, _ = io.WriteString(w, show(r.Body)) // a client that has gone has asked all the same
	}
}

// received returns a request in the form of a contract. A body that is neither a form nor
// JSON is text.
func received(r *http.Request) (Request, error) {
	got := Request{Method: r.Method, Path: r.URL.RequestURI(), Headers: map[string]string{}, Form: map[string]string{}}
	for name := range r.Header {
		got.Headers[name] = r.Header.Get(name)
	}
	if err := r.ParseForm(); err != nil { // which reads the body of a form alone
		return got, err
	}
	for name := range r.PostForm {
		got.Form[name] = r.PostForm.Get(name)
	}
	body, err := io.ReadAll(r.Body)
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	isJSON := mediaType == jsonType && json.Unmarshal(body, &got.Body) == nil
	if len(body) > 0 && !isJSON {
		got.Body = string(body)
	}
	return got, err
}

// compare returns the differences between a request and the contract. The client may send
// further headers.
func (r *Request) compare(sent Request) error {
	all := sent.Headers
	sent.Headers = maps.Clone(r.Headers)
	for name := range sent.Headers {
		sent.Headers[name] = all[http.CanonicalHeaderKey(name)]
	}
	if !cmp.Equal(sent, *r, cmpopts.EquateEmpty()) {
		return fmt.Errorf("request: is %s, want %s", show(sent), show(r))
	}
	return nil
}
