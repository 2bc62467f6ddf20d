package app_test

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
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

func TestListMenu(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	list := func(t *testing.T, query string) []api.Pizza {
		t.Helper()
		return apitest.Decode[[]api.Pizza](t, s.Get(t, "/menu/"+query), http.StatusOK)
	}

	t.Run("all_pizzas", func(t *testing.T) {
		t.Parallel()
		got := list(t, "")
		if len(got) != 96 {
			t.Fatalf("%d pizzas, want 96", len(got))
		}
		want := api.Pizza{
			PizzaID: "bbq_ckn_l", PizzaTypeID: "bbq_ckn", PizzaNm: "The Barbecue Chicken Pizza", PizzaTypePizzaNm: "The Barbecue Chicken Pizza",
			PizzaCateg: "Chicken", PizzaImgURL: "images/bbq_ckn.png", Size: "L", Price: money.MustParse("20.75"),
		}
		if diff := cmp.Diff(want, got[slices.IndexFunc(got, func(p api.Pizza) bool { return p.PizzaID == want.PizzaID })]); diff != "" {
			t.Error(diff)
		}
		var greek string
		for _, p := range got {
			if p.PizzaTypeID == "the_greek" {
				greek += p.Size + " "
			}
			if p.PizzaTypePizzaNm != p.PizzaNm {
				t.Errorf("%s has the names %q and %q", p.PizzaID, p.PizzaNm, p.PizzaTypePizzaNm)
			}
		}
		if greek != "S M L XL XXL " {
			t.Errorf("sizes come in the order %s", greek)
		}
	})
	t.Run("empty_database", func(t *testing.T) {
		t.Parallel()
		empty := start(t, migrationstest.New(t))
		if a := empty.Get(t, "/menu/?q=x&sort=price"); a.Status != http.StatusOK || string(a.Body) != "[]" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := empty.Get(t, "/menu/"); a.Status != http.StatusOK || string(a.Body) != "[]" || a.Header.Get("ETag") == "" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("price_is_a_number", func(t *testing.T) {
		t.Parallel()
		if a := s.Get(t, "/menu/?q=barbecue&size=L"); !strings.Contains(string(a.Body), `"price":20.75`) {
			t.Errorf("%s", a.Body)
		}
	})
	for query, want := range map[string]int{
		"?q=CHICKEN&size=l": 6, "?category=veggie": 27, "?size=XXL": 1, "?q=&category=&size=&sort=": 96, "?size=XXXL": 0,
		"?q=" + url.QueryEscape("' OR 1=1 --"): 0, "?q=" + url.QueryEscape("피자"): 0, "?unknown=1": 96, "?q=hawaiian%": 0, "?q=hawaiian;size=L": 0, "?utm=%ff&utm=1&q=hawaiian": 3,
	} {
		t.Run("filter"+query, func(t *testing.T) {
			t.Parallel()
			if got := list(t, query); len(got) != want {
				t.Errorf("%d pizzas, want %d", len(got), want)
			}
		})
	}
	t.Run("sorted_by_price", func(t *testing.T) {
		t.Parallel()
		got := list(t, "?sort=-price")
		if got[0].PizzaID != "the_greek_xxl" || !slices.IsSortedFunc(got, func(a, b api.Pizza) int { return b.Price.Cmp(a.Price) }) {
			t.Error("not from the dearest to the cheapest")
		}
	})
	t.Run("every_bad_parameter_is_named", func(t *testing.T) {
		t.Parallel()
		p := apitest.Decode[problem.Problem](t, s.Get(t, "/menu/?size=x%25%0a"+strings.Repeat("x", 50)+"&sort=id&category="+strings.Repeat("x", 51)), http.StatusBadRequest)
		want := []fault.Field{
			{Field: "category", Message: "must be at most 50 characters"},
			{Field: "size", Message: "must be at most 50 characters"},
			{Field: "sort", Message: "must be one of name, -name, price, -price"},
		}
		if diff := cmp.Diff(want, p.Errors); diff != "" {
			t.Error(diff)
		}
	})
}

// A malformed query is rejected with the name of its parameter, or read as the
// URL Standard says; it is never ignored.
func TestMalformedQueries(t *testing.T) {
	t.Parallel()
	apitest.Parameters(t, api.Document, reflect.TypeFor[api.StrictServerInterface]())
	start(t, migrationstest.NewSeeded(t)).MalformedQueries(t, api.Document)
}

func TestListPizzaTypes(t *testing.T) {
	t.Parallel()
	t.Run("all_types", func(t *testing.T) {
		t.Parallel()
		got := apitest.Decode[[]api.PizzaType](t, start(t, migrationstest.NewSeeded(t)).Get(t, "/menu/types/"), http.StatusOK)
		if len(got) != 32 {
			t.Fatalf("%d types, want 32", len(got))
		}
		want := api.PizzaType{
			PizzaTypeID: "bbq_ckn", PizzaNm: "The Barbecue Chicken Pizza", PizzaCateg: "Chicken", PizzaImgURL: "images/bbq_ckn.png",
		}
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("image_urls", func(t *testing.T) {
		t.Parallel()
		for _, typ := range apitest.Decode[[]api.PizzaType](t, start(t, migrationstest.NewSeeded(t)).Get(t, "/menu/types/"), http.StatusOK) {
			if want := "images/" + typ.PizzaTypeID + ".png"; typ.PizzaImgURL != want {
				t.Errorf("the image of %s is %q, want the relative path %q", typ.PizzaTypeID, typ.PizzaImgURL, want)
			}
		}
	})
	t.Run("empty_database", func(t *testing.T) {
		t.Parallel()
		if a := start(t, migrationstest.New(t)).Get(t, "/api/menu/types"); a.Status != http.StatusOK || string(a.Body) != "[]" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// Possible leftovers of the old system: rows without a type, invalid prices,
// two types with one name, a type without pizzas.
func TestTakenOverCatalog(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	exec(t, superuser(t, db), `
		INSERT INTO pizza_types VALUES
			('b', '불고기', '한식', 'images/b.png'), ('a', '불고기', '한식', 'images/a.png'), ('c', 'Coming', 'New', 'images/c.png');
		INSERT INTO pizza VALUES
			('b_l', 'b', 'L', 20.1), ('a_l', 'a', 'L', 12.499999999999998), ('a_s', 'a', 'S', 0), ('b_s', 'b', 'S', 9.995),
			('no_type', NULL, 'L', 10), ('nan', 'a', 'M', 'NaN'), ('inf', 'a', 'XL', 'Infinity'), ('minus', 'a', 'XXL', -1),
			('huge', 'b', 'XL', 1e300)`)
	s := start(t, db)
	var got []string
	for _, p := range apitest.Decode[[]api.Pizza](t, s.Get(t, "/menu/"), http.StatusOK) {
		got = append(got, p.PizzaID+" "+p.Price.String())
	}
	if diff := cmp.Diff([]string{"a_s 0.00", "a_l 12.50", "b_s 10.00", "b_l 20.10"}, got); diff != "" {
		t.Error(diff)
	}
	if types := apitest.Decode[[]api.PizzaType](t, s.Get(t, "/menu/types/"), http.StatusOK); len(types) != 3 {
		t.Errorf("types %+v", types)
	}
	found := apitest.Decode[api.FoundPizza](t, s.Post(t, "/menu/get_pizza_id/", asJSON, `{"pizza_nm":"불고기","size":"L"}`), http.StatusOK)
	if found.PizzaID != "a_l" {
		t.Errorf("of two, %s was found, want the lowest id", found.PizzaID)
	}
}

// A client that already has the response does not get it again until it changes.
func TestConditionalGet(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/menu/", "/api/menu?sort=price", "/menu/types/"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			s := start(t, migrationstest.NewSeeded(t))
			first := s.Get(t, path)
			etag := first.Header.Get("ETag")
			if first.Status != http.StatusOK || first.Header.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(etag, `"`) {
				t.Fatalf("%d, ETag %s, Cache-Control %q", first.Status, etag, first.Header.Get("Cache-Control"))
			}
			const header = "If-None-Match"
			for name, fields := range map[string][]string{
				"same": {header, etag}, "weak": {header, "W/" + etag}, "list": {header, `"x", ` + etag}, "any": {header, "*"},
				"two_lines": {header, `"x"`, header, etag},
			} {
				a := s.Get(t, path, fields...)
				if a.Status != http.StatusNotModified || len(a.Body) != 0 ||
					a.Header.Get("ETag") != etag || a.Header.Get("Cache-Control") != "no-cache" {
					t.Errorf("%s: %d, ETag %s, body %q", name, a.Status, a.Header.Get("ETag"), a.Body)
				}
			}
			for name, fields := range map[string][]string{
				"other": {header, `"x"`}, "nothing": {header, ""}, "rubbish": {header, "\xff,\""}, "two_others": {header, `"x"`, header, `"y"`},
			} {
				if a := s.Get(t, path, fields...); a.Status != http.StatusOK || string(a.Body) != string(first.Body) {
					t.Errorf("%s: %d", name, a.Status)
				}
			}
			if head := s.Call(t, http.MethodHead, path, ""); head.Status != http.StatusOK || head.Header.Get("ETag") != etag ||
				head.Header.Get("Content-Length") != first.Header.Get("Content-Length") {
				t.Errorf("HEAD: %d, %v", head.Status, head.Header)
			}
			const changed = `{"pizza_nm":"New","pizza_categ":"New","pizza_img_url":"images/new.png"}`
			if a := s.write(t, http.MethodPut, "/int/menu/types/bbq_ckn", changed); a.Status != http.StatusOK {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if a := s.Get(t, path, header, etag); a.Status != http.StatusOK || a.Header.Get("ETag") == etag {
				t.Errorf("after a change: %d, ETag %s", a.Status, a.Header.Get("ETag"))
			}
		})
	}
}
