package contract

import (
	"bytes"
	"context"
	"encoding/json"
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
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("contracts in %s: %v, %v", folder, files, err)
	}
	needed := map[string]bool{}
	for _, file := range files {
		c, err := Read(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, i := range c.Interactions {
			needed[i.Given] = true
			t.Run(c.Consumer+"/"+i.Name, func(t *testing.T) {
				t.Parallel()
				if err := i.documented(t, document); err != nil {
					t.Error(err)
				}
				state, ok := states[i.Given]
				if !ok {
					t.Fatal(i.failure(fmt.Errorf("given %q is none of %q", i.Given, slices.Sorted(maps.Keys(states)))))
				}
				if err := i.Verify(t.Context(), state(t)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	for state := range states {
		if !needed[state] {
			t.Errorf("no consumer needs the state %q", state)
		}
	}
}

// Verify sends the request to the provider. It returns an error for all that the
// consumer would miss in the response. The error names the interaction and field.
func (i *Interaction) Verify(ctx context.Context, p Provider) error {
	filled, err := i.fill(p.Values)
	if err != nil {
		return i.failure(err)
	}
	body, headers := filled.Request.encode()
	a, err := p.Send(ctx, filled.Request.Method, filled.Request.Path, body, headers...)
	if err != nil {
		return i.failure(err)
	}
	m, err := newMatcher(filled.Response.Match)
	if err != nil {
		return i.failure(err)
	}
	if a.Status != filled.Response.Status {
		m.wrong("status", "is %d, want %d: %s", a.Status, filled.Response.Status, a.Body)
	}
	m.headers(filled.Response.Headers, a.Header.Values)
	if want := filled.Response.Body; want != nil && len(m.problems) == 0 {
		var got any
		if err := json.Unmarshal(a.Body, &got); err != nil {
			m.wrong("body", "%v", err)
		} else {
			m.value("body", want, got)
		}
	}
	return i.failure(m.problems...)
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
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(r.Body); err != nil {
			panic(err) // it was decoded from JSON
		}
		return b.String(), append(headers, "Content-Type", "application/json")
	}
	return "", headers
}
