package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/menu/api"
)

func TestGetPizzaID(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	for name, test := range map[string]struct{ path, contentType, body string }{
		"ok":                         {"/menu/get_pizza_id/", asJSON, `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`},
		"names_of_the_old_client":    {"/api/menu/get_pizza_id/", asJSON, `{"name":"The Barbecue Chicken Pizza","size":"L"}`},
		"form":                       {"/menu/get_pizza_id", asForm, `pizza_nm=The+Barbecue+Chicken+Pizza&size=L`},
		"both_names":                 {"/api/menu/get_pizza_id", asJSON, `{"name":"The Barbecue Chicken Pizza","pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`},
		"byte_order_mark":            {"/menu/get_pizza_id/", asJSON, "\ufeff" + `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`},
		"no_break_space_is_a_space":  {"/menu/get_pizza_id/", asJSON, `{"pizza_nm":"The\u00a0Barbecue Chicken\u3000Pizza","size":"L"}`},
		"unknown_fields_are_ignored": {"/menu/get_pizza_id/", asJSON + "; charset=utf-8", `{"pizza_nm":"The Barbecue Chicken Pizza","size":"L","price":{"x":[1]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := apitest.Decode[api.FoundPizza](t, s.Post(t, test.path, test.contentType, test.body), http.StatusOK); got.PizzaID != "bbq_ckn_l" {
				t.Errorf("found %q", got.PizzaID)
			}
		})
	}
	const (
		noPizza = "there is no such pizza on the menu"
		noSize  = "this pizza is not sold in this size"
		several = "some fields are not valid"
	)
	field := func(name, rule string) []fault.Field { return []fault.Field{{Field: name, Message: rule}} }
	both := func(rule string) []fault.Field { return append(field("pizza_nm", rule), field("size", rule)...) }
	for name, test := range map[string]struct {
		contentType, body string
		status            int
		detail            string
		fields            []fault.Field
	}{
		"unknown_pizza":      {asJSON, `{"pizza_nm":"The Durian Pizza","size":"L"}`, 404, noPizza, nil},
		"unknown_size":       {asJSON, `{"pizza_nm":"The Barbecue Chicken Pizza","size":"XXL"}`, 404, noSize, nil},
		"other_case":         {asJSON, `{"pizza_nm":"the barbecue chicken pizza","size":"L"}`, 404, noPizza, nil},
		"size_in_other_case": {asJSON, `{"pizza_nm":"The Barbecue Chicken Pizza","size":"l"}`, 404, noSize, nil},
		"korean":             {asJSON, `{"pizza_nm":"불고기 피자","size":"L"}`, 404, noPizza, nil},
		"very_long":          {asJSON, `{"pizza_nm":"` + strings.Repeat("피", 5000) + `","size":"L"}`, 404, noPizza, nil},
		"sql_is_text":        {asJSON, `{"pizza_nm":"' OR '1'='1","size":"' OR '1'='1"}`, 404, noPizza, nil},
		"pattern_is_text":    {asJSON, `{"pizza_nm":"%","size":"%"}`, 404, noPizza, nil},
		"nothing":            {asJSON, `{}`, 400, several, both("is required")},
		"no_name":            {asJSON, `{"size":"L"}`, 400, "pizza_nm is required", field("pizza_nm", "is required")},
		"empty_name_old":     {asJSON, `{"name":"","size":"L"}`, 400, "name is required", field("name", "is required")},
		"no_size":            {asForm, `name=x`, 400, "size is required", field("size", "is required")},
		"null_for_both":      {asJSON, `{"pizza_nm":null,"size":null}`, 400, several, both("is required")},
		"wrong_types":        {asJSON, `{"pizza_nm":7,"size":[]}`, 400, several, both("must be a string")},
		"nul": {
			asJSON, `{"pizza_nm":"a\u0000","size":"L"}`, 400,
			"pizza_nm must not contain a NUL character", field("pizza_nm", "must not contain a NUL character"),
		},
		"invalid_utf8": {asJSON, "{\"pizza_nm\":\"\xff\",\"size\":\"L\"}", 400, "pizza_nm must be UTF-8", field("pizza_nm", "must be UTF-8")},
		"half_of_a_surrogate_pair": {
			asJSON, `{"name":"a\udfff","size":"L","x":{"\ud800":1}}`, 400, several, []fault.Field{
				{Field: "name", Message: "must not contain half of a surrogate pair"}, {Field: "x.\ufffd", Message: "has a name that must not contain half of a surrogate pair"},
			},
		},
		"names_differ": {
			asJSON, `{"name":"other","pizza_nm":"The Barbecue Chicken Pizza","size":"L"}`, 400,
			"pizza_nm must not differ from name, which is the same field", field("pizza_nm", "must not differ from name, which is the same field"),
		},
		"field_given_once":    {asJSON, `{"size":"L","pizza_nm":"a","size":"L"}`, 400, "size must be given once", field("size", "must be given once")},
		"broken_json":         {asJSON, `{"pizza_nm":`, 400, "the body is not valid JSON", nil},
		"list_for_object":     {asJSON, `[]`, 400, "the body must be a JSON object", nil},
		"empty_body":          {asJSON, ``, 400, "the body is empty; a JSON object is expected", nil},
		"body_over_the_limit": {asJSON, `{"pizza_nm":"` + strings.Repeat("x", 70_000) + `"}`, 413, "the body must not be larger than 65536 bytes", nil},
		"other_media_type": {
			"text/xml", `<pizza/>`, 415, "Content-Type must be application/json or application/x-www-form-urlencoded", nil,
		},
		"form_name_given_once": {asForm, `name=a&name=b&size=L`, 400, "name must be given once", field("name", "must be given once")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := apitest.Decode[problem.Problem](t, s.Post(t, "/menu/get_pizza_id/", test.contentType, test.body), test.status)
			if p.Detail != test.detail || p.Error != test.detail {
				t.Errorf("detail %q, error %q", p.Detail, p.Error)
			}
			if diff := cmp.Diff(test.fields, p.Errors); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	priced := func(id, price string) api.QuotedLine {
		p := money.MustParse(price)
		return api.QuotedLine{PizzaID: &id, UnitPrice: &p}
	}
	refused := func(e api.QuoteError) api.QuotedLine { return api.QuotedLine{Error: &e} }
	lines := `[{"pizza_id":"bbq_ckn_l"},{"pizza_nm":"The Hawaiian Pizza","size":"S"},{"pizza_id":"durian_l"},` +
		`{"pizza_nm":"The Durian Pizza","size":"S"},{"pizza_nm":"The Hawaiian Pizza","size":"XXL"},{"pizza_id":"bbq_ckn_l","size":"?"}]`
	want := []api.QuotedLine{
		priced("bbq_ckn_l", "20.75"), priced("hawaiian_s", "10.5"), refused(api.UnknownPizza),
		refused(api.UnknownPizza), refused(api.UnknownSize), priced("bbq_ckn_l", "20.75"),
	}
	for _, test := range []struct{ name, path, contentType, body string }{
		{"ok", "/int/menu/quote", asJSON, `{"lines":` + lines + `}`},
		{"form", "/int/menu/quote/", asForm, `lines=` + lines},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := apitest.Decode[api.Quotation](t, s.Post(t, test.path, test.contentType, test.body), http.StatusOK)
			if diff := cmp.Diff(want, got.Lines); diff != "" || got.CatalogVersion < 1 {
				t.Errorf("version %d: %s", got.CatalogVersion, diff)
			}
		})
	}
	t.Run("fifty_lines", func(t *testing.T) {
		t.Parallel()
		got := apitest.Decode[api.Quotation](t, s.Post(t, "/int/menu/quote", asJSON, quoteOf(50)), http.StatusOK)
		if len(got.Lines) != 50 || *got.Lines[49].PizzaID != "bbq_ckn_l" {
			t.Errorf("%d lines", len(got.Lines))
		}
	})
	for name, test := range map[string]struct {
		body string
		want []fault.Field
	}{
		"no_lines":       {`{}`, []fault.Field{{Field: "lines", Message: "must have at least 1 line"}}},
		"empty_lines":    {`{"lines":[]}`, []fault.Field{{Field: "lines", Message: "must have at least 1 line"}}},
		"too_many_lines": {quoteOf(51), []fault.Field{{Field: "lines", Message: "must have at most 50 lines"}}},
		"wrong_types": {`{"lines":[7,null,{"pizza_id":7},{"size":{}}]}`, []fault.Field{
			{Field: "lines[0]", Message: "must be an object"}, {Field: "lines[1]", Message: "must not be null"},
			{Field: "lines[2].pizza_id", Message: "must be a string"}, {Field: "lines[3].size", Message: "must be a string"},
		}},
		"lines_without_a_pizza": {`{"lines":[{"pizza_id":"bbq_ckn_l"},{},{"pizza_nm":"x"},{"size":"L"}]}`, []fault.Field{
			{Field: "lines[1]", Message: "must name a pizza: pizza_id, or pizza_nm and size"},
			{Field: "lines[2].size", Message: "is required"}, {Field: "lines[3].pizza_nm", Message: "is required"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := apitest.Decode[problem.Problem](t, s.Post(t, "/int/menu/quote", asJSON, test.body), http.StatusBadRequest)
			if diff := cmp.Diff(test.want, p.Errors); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("empty_database", func(t *testing.T) {
		t.Parallel()
		got := apitest.Decode[api.Quotation](t, start(t, migrationstest.New(t)).Post(t, "/int/menu/quote", asJSON, quoteOf(1)), http.StatusOK)
		if diff := cmp.Diff([]api.QuotedLine{refused(api.UnknownPizza)}, got.Lines); diff != "" {
			t.Error(diff)
		}
	})
}

func quoteOf(lines int) string {
	return fmt.Sprintf(`{"lines":[%s]}`, strings.TrimSuffix(strings.Repeat(`{"pizza_id":"bbq_ckn_l"},`, lines), ","))
}

// The catalog and the quotes agree, and both are current.
func TestGetCatalog(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	exec(t, superuser(t, db), `
		INSERT INTO pizza_types VALUES ('zero', 'Nothing Of This', 'C', 'images/x.png'), ('again', 'The Hawaiian Pizza', 'C', 'images/x.png');
		INSERT INTO pizza VALUES ('a_twin', 'again', 'S', 1), ('worthless', 'zero', 'S', 'NaN');`)
	s := start(t, db)
	get := func() api.Catalog {
		t.Helper()
		return apitest.Decode[api.Catalog](t, s.Get(t, "/int/menu/catalog"), http.StatusOK)
	}
	c := get()
	if len(c.Pizzas) != 97 || len(c.PizzaNms) != 33 || !slices.IsSorted(c.PizzaNms) || !slices.Contains(c.PizzaNms, "Nothing Of This") {
		t.Errorf("%d pizzas, names %q", len(c.Pizzas), c.PizzaNms)
	}
	for _, p := range c.Pizzas {
		q, version := s.quoted(t, p.PizzaID)
		if q.UnitPrice == nil || !q.UnitPrice.Equal(p.UnitPrice) || version != c.CatalogVersion {
			t.Errorf("%+v of version %d is quoted as %+v of version %d", p, c.CatalogVersion, q, version)
		}
	}
	v := version(t, s.write(t, http.MethodPut, "/int/menu/pizzas/bbq_ckn_l", `{"pizza_type_id":"bbq_ckn","size":"L","price":99.5}`))
	c = get()
	i := slices.IndexFunc(c.Pizzas, func(p api.PricedPizza) bool { return p.PizzaID == "bbq_ckn_l" })
	want := api.PricedPizza{PizzaID: "bbq_ckn_l", PizzaNm: "The Barbecue Chicken Pizza", Size: "L", UnitPrice: money.MustParse("99.5")}
	if diff := cmp.Diff(want, c.Pizzas[i]); diff != "" || c.CatalogVersion != v {
		t.Errorf("version %d after a change to %d: %s", c.CatalogVersion, v, diff)
	}
	conn := superuser(t, db)
	for price := range 50 { // every commit is visible at once
		exec(t, conn, fmt.Sprintf("UPDATE pizza SET price = %d WHERE pizza_id = 'bbq_ckn_l'", price))
		if got := get().Pizzas[i].UnitPrice; !got.Equal(money.MustParse(strconv.Itoa(price))) {
			t.Fatalf("%s after a change to %d", got, price)
		}
	}
	t.Run("empty_database", func(t *testing.T) {
		t.Parallel()
		a := start(t, migrationstest.New(t)).Get(t, "/api/int/menu/catalog/")
		if c := apitest.Decode[api.Catalog](t, a, http.StatusOK); len(c.Pizzas) != 0 || c.CatalogVersion < 1 || !strings.Contains(string(a.Body), `"pizzas":[]`) {
			t.Errorf("%s", a.Body)
		}
	})
}
