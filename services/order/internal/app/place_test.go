package app_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// admin connects to a test database as its superuser.
func admin(t *testing.T, db *migrationstest.Database) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// kept counts the rows of orders and lines.
func kept(t *testing.T, conn *pgx.Conn) (orders, lines int) {
	t.Helper()
	err := conn.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_detail)").Scan(&orders, &lines)
	if err != nil {
		t.Fatal(err)
	}
	return orders, lines
}

func TestPlaceOrder(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startCached(t, db, startMenu(t, db))
	conn := admin(t, db)
	want := api.PlacedOrder{
		Message: "the order is placed", TotalPrice: money.MustParse("41.75"),
		Lines: []api.PlacedLine{
			{PizzaID: "bbq_ckn_l", Quantity: 1, UnitPrice: money.MustParse("20.75")},
			{PizzaID: "hawaiian_s", Quantity: 2, UnitPrice: money.MustParse("10.5")},
		},
	}
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	for _, test := range []struct{ name, path, contentType, body string }{
		{"ok", "/order/", asJSON, `{"bran_id":"BRANCH001","items":[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_nm":"The Hawaiian Pizza","size":"S","quantity":2}],"expected_total":41.75}`},
		{"names_of_the_old_client", "/api/order", asJSON, `{"branchId":"BRANCH001","lines":[{"name":"The Barbecue Chicken Pizza","size":"L","quantity":1},{"name":"The Hawaiian Pizza","size":"S","quantity":2.0}]}`},
		{"form", "/api/order/", asForm, `branchId=BRANCH001&expected_total=41.75&lines=[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"hawaiian_s","quantity":2}]`},
		{"unknown_fields_are_ignored", "/order", asJSON, `{"order_id":"mine","date":"1999-01-01","time":"x","X":{"y":[1]},"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1,"price":0.01},{"pizza_id":"hawaiian_s","quantity":2}]}`},
		{"no_content_type_is_json", "/order/", "", `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"hawaiian_s","quantity":2}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			bearer := s.as(t, "김철수-"+test.name)
			a := s.Post(t, test.path, test.contentType, test.body, member(bearer)...)
			got := apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated)
			if loc := a.Header.Get("Location"); loc != "/api/order/"+got.OrderID+"/" {
				t.Errorf("Location %q", loc)
			}
			expected := want
			expected.OrderID = got.OrderID
			if diff := cmp.Diff(expected, got); diff != "" {
				t.Error(diff)
			}
			rows := apitest.Decode[[]api.OrderRow](t, s.get(t, "/order/myorder/", bearer), http.StatusOK)
			if len(rows) != 2 || rows[0].OrderID != got.OrderID || *rows[1].PizzaID != "hawaiian_s" || !rows[1].UnitPrice.Equal(money.MustParse("10.5")) {
				t.Errorf("my orders: %+v", rows)
			}
			one := apitest.Decode[api.Order](t, s.get(t, a.Header.Get("Location"), bearer), http.StatusOK)
			if !one.TotalPrice.Equal(got.TotalPrice) || len(one.Lines) != 2 {
				t.Errorf("the order: %+v", one)
			}
			mustBeNowInSeoul(t, conn, got.OrderID)
		})
	}
}

// mustBeNowInSeoul checks that date, time and created_at denote the same instant.
func mustBeNowInSeoul(t *testing.T, conn *pgx.Conn, orderID string) {
	t.Helper()
	var agree bool
	err := conn.QueryRow(t.Context(), `
		SELECT to_char(created_at AT TIME ZONE 'Asia/Seoul', 'YYYY-MM-DD HH24:MI:SS') = date || ' ' || time
		       AND now() - created_at BETWEEN '-1 minute' AND '1 minute'
		FROM orders WHERE order_id = $1`, orderID).Scan(&agree)
	if err != nil || !agree {
		t.Errorf("date, time and created_at do not agree: %v", err)
	}
}

func TestPlaceOrderRefuses(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startCached(t, db, startMenu(t, db))
	conn := admin(t, db)
	line := func(fields string) string {
		return `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{` + fields + `}]}`
	}
	const ok = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
	field := func(name, message string) []fault.Field { return []fault.Field{{Field: name, Message: message}} }
	tests := []struct {
		name, body  string
		status      int
		fields      []fault.Field
		contentType string
	}{
		{name: "broken_json", body: `{"branchId":`, status: 400},
		{name: "trailing_text", body: ok + `x`, status: 400},
		{name: "empty_body", body: ``, status: 400},
		{name: "list_for_object", body: `[]`, status: 400},
		{name: "null_for_object", body: `null`, status: 400},
		{name: "text_for_object", body: `"order"`, status: 400},
		{name: "invalid_utf8", body: "{\"branchId\":\"\xff\"}", status: 400, fields: []fault.Field{
			{Field: "branchId", Message: "must be UTF-8"}, {Field: "lines", Message: "must have at least 1 line"},
		}},
		{name: "half_of_a_surrogate_pair", body: line(`"name":"\udc00","size":"L","quantity":1`), status: 400, fields: field("lines[1].name", "must not contain half of a surrogate pair")},
		{name: "field_given_twice", body: line(`"pizza_id":"hawaiian_s","quantity":1,"quantity":2`), status: 400, fields: field("lines[1].quantity", "must be given once")},
		{name: "names_of_a_line_differ", body: line(`"name":"The Hawaiian Pizza","pizza_nm":"x","size":"L","quantity":1`), status: 400, fields: field("lines[1].pizza_nm", "must not differ from name, which is the same field")},
		{name: "lists_differ", body: `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}],"items":[{"pizza_id":"bbq_ckn_l","quantity":2}]}`, status: 400, fields: field("lines", "must not differ from items, which is the same field")},
		{name: "nothing", body: `{}`, status: 400, fields: []fault.Field{
			{Field: "branchId", Message: "is required"}, {Field: "lines", Message: "must have at least 1 line"},
		}},
		{name: "no_lines", body: `{"branchId":"BRANCH001","lines":[]}`, status: 400, fields: field("lines", "must have at least 1 line")},
		{name: "too_many_lines", body: `{"branchId":"BRANCH001","items":[` + strings.Repeat(`{"pizza_id":"bbq_ckn_l","quantity":1},`, 50) + `{"pizza_id":"bbq_ckn_l","quantity":1}]}`, status: 400, fields: field("items", "must have at most 50 lines")},
		{name: "lines_of_a_wrong_type", body: `{"branchId":"BRANCH001","lines":{"0":1}}`, status: 400, fields: field("lines", "must be a list")},
		{name: "line_of_a_wrong_type", body: `{"branchId":"BRANCH001","lines":[1,null]}`, status: 400, fields: []fault.Field{
			{Field: "lines[0]", Message: "must be an object"}, {Field: "lines[1]", Message: "must not be null"},
		}},
		{name: "every_wrong_type_is_named", body: `{"branchId":7,"expected_total":"cheap","lines":[{"pizza_id":[],"quantity":"many"}]}`, status: 400, fields: []fault.Field{
			{Field: "branchId", Message: "must be a string"},
			{Field: "expected_total", Message: "must be a decimal number with at most 2 digits after the point"},
			{Field: "lines[0].pizza_id", Message: "must be a string"},
			{Field: "lines[0].quantity", Message: "must be a whole number"},
		}},
		{name: "wrong_types_hide_no_other_bad_field", body: `{"bran_id":7,"items":[{"pizza_id":[]},{"quantity":1},7]}`, status: 400, fields: []fault.Field{
			{Field: "bran_id", Message: "must be a string"},
			{Field: "items[0].pizza_id", Message: "must be a string"},
			{Field: "items[2]", Message: "must be an object"},
			{Field: "items[0].quantity", Message: "is required"},
			{Field: "items[1]", Message: "must name a pizza: pizza_id, or name and size"},
		}},
		{name: "fraction", body: line(`"pizza_id":"hawaiian_s","quantity":1.5`), status: 400, fields: field("lines[1].quantity", "must be a whole number")},
		{name: "zero", body: line(`"pizza_id":"hawaiian_s","quantity":0`), status: 400, fields: field("lines[1].quantity", "must be from 1 to 99")},
		{name: "negative", body: line(`"pizza_id":"hawaiian_s","quantity":-3`), status: 400, fields: field("lines[1].quantity", "must be from 1 to 99")},
		{name: "hundred", body: line(`"pizza_id":"hawaiian_s","quantity":100`), status: 400, fields: field("lines[1].quantity", "must be from 1 to 99")},
		{name: "huge", body: line(`"pizza_id":"hawaiian_s","quantity":1e400`), status: 400, fields: field("lines[1].quantity", "is out of range")},
		{name: "huge_expected_total", body: `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}],"expected_total":1e999999999}`, status: 400},
		{name: "no_quantity", body: line(`"pizza_id":"hawaiian_s"`), status: 400, fields: field("lines[1].quantity", "is required")},
		{name: "nul_in_text", body: line(`"pizza_id":"haw\u0000aiian","quantity":1`), status: 400, fields: field("lines[1].pizza_id", "must not contain a NUL character")},
		{name: "unknown_pizza", body: line(`"pizza_id":"durian_xl","quantity":1`), status: 400, fields: field("lines[1]", "is not on the menu")},
		{name: "unknown_name", body: line(`"name":"The Durian Pizza","size":"L","quantity":1`), status: 400, fields: field("lines[1]", "is not on the menu")},
		{name: "unknown_size", body: line(`"name":"The Hawaiian Pizza","size":"XXL","quantity":1`), status: 400, fields: field("lines[1]", "is not sold in this size")},
		{name: "unknown_branch", body: `{"bran_id":"BRANCH999","items":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`, status: 400, fields: field("bran_id", `unknown branch "BRANCH999"`)},
		{name: "sql_is_text", body: `{"branchId":"'; DROP TABLE orders; --","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`, status: 400, fields: field("branchId", `unknown branch "'; DROP TABLE orders; --"`)},
		{name: "branch_of_101_characters", body: `{"branchId":"` + strings.Repeat("점", 101) + `","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`, status: 400, fields: field("branchId", "must be at most 100 characters")},
		{name: "price_changed", body: `{"branchId":"BRANCH001","expected_total":20.74,"lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`, status: 409},
		{name: "body_over_the_limit", body: `{"branchId":"` + strings.Repeat("x", 70_000) + `"}`, status: 413},
		{name: "other_media_type", body: ok, contentType: "text/xml", status: 415},
		{name: "broken_media_type", body: ok, contentType: "application/json; charset", status: 415},
		{name: "form_field_given_twice", body: "branchId=a&branchId=b", contentType: "application/x-www-form-urlencoded", status: 400, fields: []fault.Field{
			{Field: "branchId", Message: "must be given once"}, {Field: "lines", Message: "must have at least 1 line"},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			contentType := test.contentType
			if contentType == "" {
				contentType = "application/json"
			}
			a := s.Post(t, "/order/", contentType, test.body, member(s.as(t, "ada"))...)
			p := apitest.Decode[problem.Problem](t, a, test.status)
			if diff := cmp.Diff(test.fields, p.Errors); test.fields != nil && diff != "" {
				t.Error(diff)
			}
		})
	}
	if orders, lines := kept(t, conn); orders != 0 || lines != 0 {
		t.Errorf("refused orders left %d orders and %d lines", orders, lines)
	}
}

func TestPlaceOrderNeedsAToken(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, "http://127.0.0.1:1")
	expired, err := s.keys.Issue("ada", 0, -time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	revoked := s.revoked(t, db, "ada")
	for name, test := range map[string]struct{ bearer, detail string }{
		"no_token":      {"", "a Bearer token is required"},
		"garbage_token": {"x.y.z", "the token is not valid"},
		"expired_token": {expired, "the token has expired"},
		"revoked_token": {revoked, "the token was revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, a := range []apitest.Answer{
				s.order(t, test.bearer, `not even JSON`),
				s.get(t, "/order/myorder/", test.bearer),
				s.get(t, "/order/0199f0c4/", test.bearer),
			} {
				if p := apitest.Decode[problem.Problem](t, a, http.StatusUnauthorized); p.Detail != test.detail {
					t.Errorf("detail %q, want %q", p.Detail, test.detail)
				}
			}
		})
	}
}

// If a line cannot be stored, nothing of the order is.
func TestPlaceOrderIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startCached(t, db, startMenu(t, db))
	conn := admin(t, db)
	if _, err := conn.Exec(t.Context(), "ALTER TABLE order_detail ADD CONSTRAINT no_hawaiian CHECK (pizza_id <> 'hawaiian_s')"); err != nil {
		t.Fatal(err)
	}
	body := `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"hawaiian_s","quantity":1}]}`
	p := apitest.Decode[problem.Problem](t, s.order(t, s.as(t, "ada"), body), http.StatusInternalServerError)
	if strings.Contains(p.Detail, "no_hawaiian") {
		t.Errorf("the answer leaks the constraint: %s", p.Detail)
	}
	if orders, lines := kept(t, conn); orders != 0 || lines != 0 {
		t.Errorf("a failed order left %d orders and %d lines", orders, lines)
	}
}

// A pizza that leaves the menu between quote and insert must not end as a 500.
func TestPlaceOrderForAPizzaJustDeleted(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	conn := admin(t, db)
	menu := stubMenu(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"catalog_version":1,"pizzas":[{"pizza_id":"gone_l","pizza_nm":"G","size":"L","unit_price":9.5}],"pizza_nms":["G"]}`)
	})
	s := start(t, db, menu)
	body := `{"branchId":"BRANCH001","items":[{"pizza_id":"gone_l","quantity":1}]}`
	p := apitest.Decode[problem.Problem](t, s.order(t, s.as(t, "ada"), body), http.StatusBadRequest)
	if diff := cmp.Diff([]fault.Field{{Field: "items", Message: "name a pizza that is no longer on the menu"}}, p.Errors); diff != "" {
		t.Error(diff)
	}
	if orders, lines := kept(t, conn); orders != 0 || lines != 0 {
		t.Errorf("left %d orders and %d lines", orders, lines)
	}
}

// Without its database the service stays alive, and every path returns 503.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	s := startWith(t, app.Config{
		DB:   pg.Config{Host: "127.0.0.1", Port: 1, Name: "pizza", User: "order_svc", Password: "x", SSLMode: "disable", MaxConns: 1, ConnectTimeout: time.Second},
		Menu: menuclient.Config{BaseURL: nowhere, Timeout: time.Second},
	})
	for _, path := range []string{"/order/branch/", "/order/myorder/", "/order/1/", "/healthz"} {
		a := s.get(t, path, s.as(t, "ada"))
		apitest.Decode[problem.Problem](t, a, http.StatusServiceUnavailable)
		if path != "/healthz" && a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
	if a := s.get(t, "/livez", ""); a.Status != http.StatusOK {
		t.Errorf("livez %d", a.Status)
	}
}

// eventsOfOrders has the events of orders: those in the outbox, which the order's own
// statement writes, and those that the relay has published and deleted there.
const eventsOfOrders = `(
	SELECT DISTINCT ON (id) * FROM (
		SELECT id::text, type, subject, data, traceparent FROM order_outbox
		UNION ALL SELECT id, type, subject, (body ->> 'data')::jsonb, body ->> 'traceparent' FROM event WHERE type = 'order.created') e)`

// TestPlacedOrderIsAnnounced checks the event of an order.
func TestPlacedOrderIsAnnounced(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startCached(t, db, startMenu(t, db))
	conn := admin(t, db)
	a := s.Post(t, "/order/", "application/json",
		`{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"hawaiian_s","quantity":2}]}`,
		append(member(s.as(t, "kim")), "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")...)
	placed := apitest.Decode[api.PlacedOrder](t, a, http.StatusCreated)

	var kind, subject, parent, at string
	var data json.RawMessage
	err := conn.QueryRow(t.Context(), `
		SELECT type, subject, data, traceparent, (SELECT to_json(created_at AT TIME ZONE 'UTC') #>> '{}' || 'Z' FROM orders)
		FROM `+eventsOfOrders+` e`).Scan(&kind, &subject, &data, &parent, &at)
	if err != nil {
		t.Fatal(err)
	}
	if kind != "order.created" || subject != placed.OrderID || !strings.HasPrefix(parent, "00-0af7651916cd43dd8448eb211c80319c-") {
		t.Errorf("%s of %s, caused by %s", kind, subject, parent)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if stored, err := time.Parse(time.RFC3339, at); err != nil || stored.Format(time.RFC3339Nano) != got["created_at"] {
		t.Errorf("announced as created at %v, stored as %s: %v", got["created_at"], at, err)
	}
	want := map[string]any{
		"order_id": placed.OrderID, "member_id": "kim", "bran_id": "BRANCH001", "total_price": 41.75, "created_at": got["created_at"],
		"lines": []any{
			map[string]any{"pizza_id": "bbq_ckn_l", "quantity": 1.0, "unit_price": 20.75},
			map[string]any{"pizza_id": "hawaiian_s", "quantity": 2.0, "unit_price": 10.5},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
