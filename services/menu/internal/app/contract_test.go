package app_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/contract"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/app"
)

const consumers = "../../api/consumers"

// TestContracts verifies menu against its consumers' contracts.
func TestContracts(t *testing.T) {
	contract.Provide(t, consumers, api.Document, map[string]contract.State{
		"the menu is the seeded one": seeded,
		"the database is away": func(t *testing.T) contract.Provider {
			a := newApp(t, migrationstest.New(t), func(c *app.Config) { c.DB.Port = 1 }) // nothing listens here
			return contract.Provider{Service: apitest.Serve(t, a.Server, api.Document)}
		},
	})
}

func seeded(t *testing.T) contract.Provider {
	t.Helper()
	s := start(t, migrationstest.NewSeeded(t))
	return contract.Provider{Service: s.Service, Values: map[string]string{
		"etag": s.Get(t, "/menu/").Header.Get("ETag"), "prices": s.Get(t, "/int/menu/catalog").Header.Get("ETag"),
	}}
}

// TestContractsAreBroken: a menu that renames a field is detected, and the
// error names the consumer, the response and the field.
func TestContractsAreBroken(t *testing.T) {
	t.Parallel()
	order, err := contract.Read(consumers + "/order.yaml")
	if err != nil {
		t.Fatal(err)
	}
	menu := seeded(t)
	menu.Client = &http.Client{Transport: renaming{from: `"unit_price"`, to: `"price"`, next: menu.Client.Transport}}
	got := order.Interactions[0].Verify(t.Context(), menu)
	want := `order → menu, "everything that prices are made of": body.pizzas[].unit_price: is missing`
	if got == nil || !strings.HasPrefix(got.Error(), want) {
		t.Errorf("got %v\nwant %s", got, want)
	}
}

// renaming simulates a change of a provider: it replaces text in responses.
type renaming struct {
	from, to string
	next     http.RoundTripper
}

func (r renaming) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(bytes.ReplaceAll(body, []byte(r.from), []byte(r.to))))
	response.ContentLength = -1
	return response, err
}
