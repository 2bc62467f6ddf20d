package contract

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"testing"

	"example.com/pizza/pkg/testkit/apitest"
)

// Provider is the real provider in some state.
type Provider struct {
	*apitest.Service
	Values map[string]string // by placeholder name
}

// State sets up the provider in a state.
type State func(t *testing.T) Provider

// Provide tests a provider against all contracts in a folder: its OpenAPI document,
// and its responses in the given states. It fails t for a missing state, and for a
// state that no contract needs.
func Provide(t *testing.T, folder string, document []byte, states map[string]State) {
	t.Helper()
	contracts, given := readAll(t, folder), map[string]bool{}
	for _, c := range contracts {
		for _, i := range c.Interactions {
			given[i.Given] = true
		}
	}
	pair(t, "states", given, states)
	documents := apitest.New(t, nil, document)
	for _, c := range contracts {
		for _, i := range c.Interactions {
			t.Run(c.Consumer+"/"+i.Name, func(t *testing.T) {
				t.Parallel()
				if err := i.documented(documents); err != nil {
					t.Error(i.failure(err))
				}
				if err := i.Verify(t.Context(), states[i.Given](t)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// readAll reads the contracts in a folder.
func readAll(t testing.TB, folder string) (all []*Contract) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("contracts in %s: %v, %v", folder, files, err)
	}
	for _, file := range files {
		c, err := Read(file)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// Verify sends the request to the provider. It returns an error for all that the
// consumer would miss in the response. The error names the interaction and field.
func (i *Interaction) Verify(ctx context.Context, p Provider) error {
	filled, err := i.fill(p.Values)
	if err != nil {
		return i.failure(err)
	}
	want := filled.Response
	body, headers := filled.Request.encode()
	a, err := p.Send(ctx, filled.Request.Method, filled.Request.Path, body, headers...)
	if err != nil {
		return i.failure(err)
	}
	if a.Status != want.Status {
		return i.failure(fmt.Errorf("status: is %d, want %d: %s", a.Status, want.Status, a.Body))
	}
	return i.failure(want.compare(a.Header.Values, a.Body))
}

// encode returns the body, and the headers as alternating names and values.
func (r *Request) encode() (body string, headers []string) {
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		headers = append(headers, name, r.Headers[name])
	}
	switch {
	case r.Form != nil:
		form := url.Values{}
		for name, value := range r.Form {
			form.Set(name, value)
		}
		return form.Encode(), append(headers, "Content-Type", "application/x-www-form-urlencoded")
	case r.Body != nil:
		return show(r.Body), append(headers, "Content-Type", jsonType)
	}
	return "", headers
}
