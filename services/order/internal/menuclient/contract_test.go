package menuclient_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/testkit/contract"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/order"
)

// TestContract verifies the client against the contract in menu's folder, as
// menu's own test does. So menu accepts what the client sends here, and the
// client understands what menu responds.
func TestContract(t *testing.T) {
	t.Parallel()
	menu, err := contract.Read("../../../menu/api/consumers/order.yaml")
	if err != nil {
		t.Fatal(err)
	}
	bbq := []order.NewLine{{PizzaID: "bbq_ckn_l"}}
	menu.Consume(t, map[string]func(*testing.T, string){
		"everything that prices are made of": func(t *testing.T, url string) {
			catalog, err := client(t, url).Catalog(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			got := catalog.Quote(bbq)
			if catalog.Version != 7 || !cmp.Equal(got, []order.Price{{PizzaID: "bbq_ckn_l", Unit: money.MustParse("20.75")}}) {
				t.Errorf("version %d, %v", catalog.Version, got)
			}
			if catalog.Tag == "" {
				t.Error("no ETag: each read would be of the whole catalog")
			}
		},
		"the same again, while it has not changed": func(t *testing.T, url string) {
			held := &order.Catalog{Tag: `"5f1c"`}
			if got, err := client(t, url).Catalog(t.Context(), held); err != nil || got != held {
				t.Errorf("%+v, %v", got, err)
			}
		},
		"the catalog while there is none, and when to ask again": func(t *testing.T, url string) {
			_, err := client(t, url).Catalog(t.Context(), nil)
			mustWait(t, err)
		},
	})
}

func client(t *testing.T, url string) *menuclient.Client {
	t.Helper()
	c := menuclient.Config{BaseURL: url, Timeout: time.Minute}
	made, err := menuclient.New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

// mustWait checks that err reports menu as unavailable, with menu's
// Retry-After.
func mustWait(t *testing.T, err error) {
	t.Helper()
	mustBeAway(t, err)
	if f := told(t, err); f.RetryAfter != 5*time.Second {
		t.Errorf("retry after %s", f.RetryAfter)
	}
}
