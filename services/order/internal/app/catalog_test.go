package app_test

import (
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/text/unicode/norm"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/order"
)

// Prices from the real menu's catalog match menu's own quotes for any lines,
// even in a catalog that only the old system could produce.
func TestCatalogPricesAsMenuDoes(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	if _, err := admin(t, db).Exec(t.Context(), `
		INSERT INTO pizza_types VALUES
			('none', 'In No Size', 'C', 'x'), ('worthless', 'Has No Price', 'C', 'x'),
			('b_twin', 'Twin', 'C', 'x'), ('a_twin', 'Twin', 'C', 'x'), ('geschmück', 'Käse 피자', 'C', 'x');
		INSERT INTO pizza VALUES
			('worthless_l', 'worthless', 'L', 'NaN'), ('worthless_s', 'worthless', 'S', -1), ('worthless_m', 'worthless', 'M', 3),
			('twin_1', 'b_twin', 'L', 11.11), ('Twin_1', 'a_twin', 'L', 12.345), ('twin_10', 'a_twin', 'L', 13), ('twin_s', 'b_twin', 'S', 1),
			('käse_l', 'geschmück', '크다', 0.01), ('kase_l', 'geschmück', 'L', 9999.99);`); err != nil {
		t.Fatal(err)
	}
	// Stored as typed into the old system: decomposed, and with other spaces.
	if _, err := admin(t, db).Exec(t.Context(), "INSERT INTO pizza_types VALUES ('nfd', $1, 'C', 'x')", norm.NFD.String("불고기\u00a0피자")); err != nil {
		t.Fatal(err)
	}
	if _, err := admin(t, db).Exec(t.Context(), "INSERT INTO pizza VALUES ('nfd_l', 'nfd', $1, 7)", norm.NFD.String("크다")); err != nil {
		t.Fatal(err)
	}
	menu := startMenu(t, db)
	c, err := menuclient.New(menuclient.Config{BaseURL: menu, Timeout: 5 * time.Second}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	catalog, err := c.Catalog(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{"", "", "", "bbq_ckn_l", "worthless_l", "worthless_s", "worthless_m", "twin_1", "Twin_1", "twin_10", "käse_l", "kase_l", "durian", "BBQ_CKN_L", " bbq_ckn_l", "'; --"}
	names := []string{"The Barbecue Chicken Pizza", "the barbecue chicken pizza", "In No Size", "Has No Price", "Twin", "Käse 피자", "Ka\u0308se 피자", "Durian", " Twin", "%", "불고기 피자", norm.NFD.String("불고기 피자"), "불고기\u3000피자", "Twin\u200b"}
	sizes := []string{"S", "M", "L", "XL", "l", "크다", norm.NFD.String("크다"), "", "%", "L "}
	pick := func(from []string) string { return from[rand.N(len(from))] }
	for range 200 {
		lines := make([]order.NewLine, 1+rand.N(order.MaxLines))
		for i := range lines {
			l := order.NewLine{PizzaID: pick(ids), Name: pick(names), Size: pick(sizes)}
			if l.PizzaID == "" && l.Size == "" {
				l.Size = "L" // an order without it is rejected before pricing
			}
			lines[i] = l
		}
		if diff := cmp.Diff(quoted(t, menu, lines), catalog.Quote(lines)); diff != "" {
			t.Fatalf("%+v: %s", lines, diff)
		}
	}
	for _, name := range []string{"불고기 피자", norm.NFD.String("불고기 피자")} {
		for _, size := range []string{"크다", norm.NFD.String("크다")} {
			if got := catalog.Quote([]order.NewLine{{Name: name, Size: size}}); got[0].PizzaID != "nfd_l" {
				t.Errorf("%+q, %+q: %+v", name, size, got)
			}
		}
	}
}

// quoted returns menu's own prices of the lines.
func quoted(t *testing.T, menuURL string, lines []order.NewLine) []order.Price {
	t.Helper()
	type line struct {
		ID    string        `json:"pizza_id,omitempty"`
		Name  string        `json:"pizza_nm,omitempty"`
		Size  string        `json:"size,omitempty"`
		Price *money.Amount `json:"unit_price,omitempty"`
		Error string        `json:"error,omitempty"`
	}
	type quote struct {
		Lines []line `json:"lines"`
	}
	var q quote
	for _, l := range lines {
		if l.PizzaID != "" {
			q.Lines = append(q.Lines, line{ID: l.PizzaID})
		} else {
			q.Lines = append(q.Lines, line{Name: l.Name, Size: l.Size})
		}
	}
	body, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	ports := &apitest.Service{Internal: menuURL, Client: &http.Client{Timeout: time.Minute}}
	answer := apitest.Decode[quote](t, ports.Post(t, "/int/menu/quote", "application/json", string(body)), http.StatusOK)
	prices := make([]order.Price, len(answer.Lines))
	for i, l := range answer.Lines {
		switch {
		case l.Price != nil:
			prices[i] = order.Price{PizzaID: l.ID, Unit: *l.Price}
		case l.Error == "unknown_size":
			prices[i].Refused = order.UnknownSize
		case l.Error == "unknown_pizza":
			prices[i].Refused = order.UnknownPizza
		default:
			t.Fatalf("line %d is neither a price nor a known refusal: %+v", i, l)
		}
	}
	return prices
}
