package app_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

const nowhere = "http://127.0.0.1:1" // reading needs no menu

func TestListMyOrders(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, nowhere)
	conn := admin(t, db)
	// The old system wrote orders, one of them without lines. Lines that it writes now get
	// the menu's price, and those from before the take-over have none.
	if _, err := conn.Exec(t.Context(), `
		INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES
			('1', 'old', 'BRANCH001', '2015-01-01', '11:38:36'),
			('2', 'old', NULL,        '2015-01-01', '11:57:40'),
			('3', 'old', 'BRANCH002', '2015-01-02', '09:00:00');
		INSERT INTO order_detail (order_detail_id, order_id, pizza_id, quantity) VALUES
			(1, '1', 'hawaiian_m', 1), (2, '3', 'classic_dlx_m', 2), (3, '3', 'bbq_ckn_l', 1);
		SET ROLE pizza_owner;
		UPDATE order_detail SET unit_price = NULL, price_derived = NULL WHERE order_id = '1';
		RESET ROLE;
	`); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := conn.Exec(t.Context(), `
			WITH o AS (INSERT INTO orders (order_id, member_id, bran_id, date, time, total_price)
			           VALUES ($1, 'many', 'BRANCH001', '2026-01-01', '12:00:00', 20) RETURNING order_id)
			INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price)
			SELECT order_id, p, 1, 10 FROM o, unnest('{bbq_ckn_l,hawaiian_s}'::text[]) p`, fmt.Sprint("m", i)); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("empty", func(t *testing.T) {
		a := s.get(t, "/order/myorder/", s.as(t, "nobody"))
		if a.Status != 200 || strings.TrimSpace(string(a.Body)) != "[]" || a.Header.Get("Link") != "" {
			t.Errorf("%d %s, Link %q", a.Status, a.Body, a.Header.Get("Link"))
		}
	})
	t.Run("orders_of_the_old_system", func(t *testing.T) {
		one, two := "BRANCH001", "BRANCH002"
		pizza := func(id string) *string { return &id }
		price := func(text string) *money.Amount { a := money.MustParse(text); return &a }
		want := []api.OrderRow{
			{
				OrderID: "3", BranID: &two, PizzaID: pizza("classic_dlx_m"), Quantity: 2,
				UnitPrice: price("16.00"), Date: "2015-01-02", Time: "09:00:00",
			},
			{
				OrderID: "3", BranID: &two, PizzaID: pizza("bbq_ckn_l"), Quantity: 1,
				UnitPrice: price("20.75"), Date: "2015-01-02", Time: "09:00:00",
			},
			{OrderID: "1", BranID: &one, PizzaID: pizza("hawaiian_m"), Quantity: 1, Date: "2015-01-01", Time: "11:38:36"},
		}
		got := apitest.Decode[[]api.OrderRow](t, s.get(t, "/api/order/myorder", s.as(t, "old")), 200)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("order_without_branch_and_lines", func(t *testing.T) {
		got := apitest.Decode[api.Order](t, s.get(t, "/order/2/", s.as(t, "old")), 200)
		if got.BranID != nil || got.TotalPrice != nil || len(got.Lines) != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("pages_cut_no_order_and_miss_none", func(t *testing.T) {
		var ids []string
		for path := "/order/myorder/?limit=2"; path != ""; {
			a := s.get(t, path, s.as(t, "many"))
			rows := apitest.Decode[[]api.OrderRow](t, a, 200)
			for i := 0; i < len(rows); i += 2 {
				if rows[i].OrderID != rows[i+1].OrderID || !rows[i].UnitPrice.Equal(money.MustParse("10")) {
					t.Errorf("rows %+v", rows)
				}
				ids = append(ids, rows[i].OrderID)
			}
			path = ""
			if link := a.Header.Get("Link"); link != "" {
				path = link[1:strings.Index(link, ">")]
			}
		}
		if diff := cmp.Diff([]string{"m4", "m3", "m2", "m1", "m0"}, ids); diff != "" {
			t.Error(diff)
		}
	})
	for _, query := range []string{"limit=0", "limit=-1", "limit=501", "limit=1.5", "limit=x", "limit=99999999999999999999", "limit=", "cursor=%00", "cursor=bm9wZQ", "cursor=e30", "cursor="} {
		t.Run("bad_"+query, func(t *testing.T) {
			p := apitest.Decode[problem.Problem](t, s.get(t, "/order/myorder/?"+query, s.as(t, "old")), 400)
			if name, _, _ := strings.Cut(query, "="); len(p.Errors) != 1 || p.Errors[0].Field != name {
				t.Errorf("errors %+v", p.Errors)
			}
		})
	}
}

// A malformed query is rejected with the name of its parameter, or read as the
// URL Standard says; it is never ignored.
func TestMalformedQueries(t *testing.T) {
	t.Parallel()
	apitest.Parameters(t, api.Document, reflect.TypeFor[api.StrictServerInterface]())
	s := start(t, migrationstest.NewSeeded(t), nowhere)
	s.MalformedQueries(t, api.Document, member(s.as(t, "ada"))...)
	a := s.Post(t, "/order/", "application/json", `{}`, append(member(s.as(t, "ada")), "Idempotency-Key", "a", "Idempotency-Key", "b")...)
	if p := apitest.Decode[problem.Problem](t, a, 400); len(p.Errors) != 1 || p.Errors[0] != (fault.Field{Field: "Idempotency-Key", Message: "must be sent only once"}) {
		t.Errorf("two keys: %+v", p)
	}
}

// Order ids are UUIDs, which are case-insensitive; ids of the old system are
// case-sensitive.
func TestOrderIDsInAnyCase(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, nowhere)
	const ours, theirs, text = "0199f0c4-7a3e-7c7c-9a51-4b8f0a3f6f10", "0199F0C4-7A3E-7C7C-9A51-4B8F0A3F6F11", "Order-a"
	if _, err := admin(t, db).Exec(t.Context(), `
		INSERT INTO orders (order_id, member_id, bran_id, date, time)
		SELECT id, 'ada', 'BRANCH001', '2015-01-01', '11:38:36' FROM unnest($1::text[]) id`, []string{ours, theirs, text}); err != nil {
		t.Fatal(err)
	}
	for sent, want := range map[string]string{
		ours: ours, strings.ToUpper(ours): ours, "0199f0c4-7A3E-7c7c-9a51-4b8f0a3f6f10": ours,
		theirs: theirs, strings.ToLower(theirs): theirs, text: text,
	} {
		if got := apitest.Decode[api.Order](t, s.get(t, "/order/"+sent+"/", s.as(t, "ada")), 200); got.OrderID != want {
			t.Errorf("%s: %s", sent, got.OrderID)
		}
	}
	for _, sent := range []string{"order-a", "ORDER-A", strings.ReplaceAll(ours, "-", ""), "{" + ours + "}", "urn:uuid:" + ours, strings.Repeat("a", 5000)} {
		if a := s.get(t, "/order/"+sent+"/", s.as(t, "ada")); a.Status != 404 {
			t.Errorf("%s: %d", sent, a.Status)
		}
	}
	if a := s.get(t, "/order/"+strings.ToUpper(ours)+"/", s.as(t, "eve")); a.Status != 404 {
		t.Errorf("another member: %d", a.Status)
	}
}

func TestOrdersOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	body := `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
	placed := apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "ada"), body), 201)
	for name, id := range map[string]string{
		"other_member": placed.OrderID, "unknown": "0199f0c4-0000-7000-8000-000000000000", "sql": "'%20OR%20'1'='1",
		"nul": "a%00b", "invalid_utf8": "a%ffb", "encoded_slash": "a%2fb", "long": strings.Repeat("x", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			apitest.Decode[problem.Problem](t, s.get(t, "/order/"+id+"/", s.as(t, "eve")), 404)
		})
	}
	if rows := apitest.Decode[[]api.OrderRow](t, s.get(t, "/order/myorder/", s.as(t, "eve")), 200); len(rows) != 0 {
		t.Errorf("eve sees %+v", rows)
	}
}

func TestListBranches(t *testing.T) {
	t.Parallel()
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		s := start(t, migrationstest.NewSeeded(t), nowhere)
		got := apitest.Decode[[]api.Branch](t, s.get(t, "/order/branch/", ""), 200)
		if len(got) < 3 || got[0].BranID != "BRANCH001" || got[0].BranNm != "강남점" {
			t.Errorf("%+v", got)
		}
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		s := start(t, migrationstest.New(t), nowhere)
		if a := s.get(t, "/api/order/branch", ""); a.Status != 200 || strings.TrimSpace(string(a.Body)) != "[]" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func TestSurface(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t), nowhere)
	for _, test := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"DELETE", "/order/", 405, "OPTIONS, POST"},
		{"GET", "/order/", 405, "OPTIONS, POST"},
		{"POST", "/order/branch/", 405, "OPTIONS, GET, HEAD"},
		{"PUT", "/api/order/myorder", 405, "OPTIONS, GET, HEAD"},
		{"HEAD", "/order/branch/", 200, ""},
		{"GET", "/int/", 404, ""},
		{"GET", "/metrics", 404, ""},
		{"GET", "/order/openapi.json", 200, ""},
		{"GET", "/api/order/openapi.json", 200, ""},
		{"GET", "/healthz", 200, ""},
		{"GET", "/livez", 200, ""},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			a := s.Call(t, test.method, test.path, "")
			if a.Status != test.status || a.Header.Get("Allow") != test.allow {
				t.Errorf("%d, Allow %q: %s", a.Status, a.Header.Get("Allow"), a.Body)
			}
			if a.Status >= 400 && a.Header.Get("Content-Type") != problem.ContentType {
				t.Errorf("Content-Type %q", a.Header.Get("Content-Type"))
			}
		})
	}
	if a := s.Post(t, "/order/", "", "x"); a.Header.Get("WWW-Authenticate") == "" {
		t.Error("no WWW-Authenticate")
	}
}
