package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/audittest"
	"example.com/pizza/services/menu/api"
)

const (
	durian  = `{"pizza_nm":"The Durian Pizza","pizza_categ":"Veggie","pizza_img_url":"images/durian.png"}`
	durianL = `{"pizza_type_id":"durian","size":"L","price":20.5}`
)

// version returns the catalog version in the response to a write.
func version(t *testing.T, a apitest.Answer) int64 {
	t.Helper()
	v, err := strconv.ParseInt(a.Header.Get("Catalog-Version"), 10, 64)
	if err != nil {
		t.Fatalf("status %d without Catalog-Version: %s", a.Status, a.Body)
	}
	return v
}

// quoted returns the quote of a pizza, and the version of the catalog.
func (s *service) quoted(t *testing.T, id string) (api.QuotedLine, int64) {
	t.Helper()
	q := apitest.Decode[api.Quotation](t, s.Post(t, "/int/menu/quote", asJSON, `{"lines":[{"pizza_id":"`+id+`"}]}`), http.StatusOK)
	return q.Lines[0], q.CatalogVersion
}

// A pizza's life on the menu: every step is visible at once, under a new version.
func TestChangeCatalog(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	_, last := s.quoted(t, "bbq_ckn_l")
	var told []audittest.Line
	step := func(name, method, path, body string, status int) apitest.Answer {
		t.Helper()
		a := s.write(t, method, path, body)
		if a.Status != status {
			t.Fatalf("%s: status %d, want %d: %s", name, a.Status, status, a.Body)
		}
		v := version(t, a)
		if _, now := s.quoted(t, "x"); v <= last || now != v {
			t.Errorf("%s: version %d after %d, quotes are of %d", name, v, last, now)
		}
		last = v
		action, id := strings.ToLower(method)+"_type", path[strings.LastIndex(path, "/")+1:]
		if strings.Contains(path, "/pizzas/") {
			action = strings.ToLower(method) + "_pizza"
		}
		told = append(told, audittest.Line{
			"event": "catalog_changed", "outcome": "success", "actor": "operator", "action": action, "id": id, "catalog_version": float64(v),
		})
		return a
	}
	price := func(want string) {
		t.Helper()
		if q, _ := s.quoted(t, "durian_l"); q.UnitPrice == nil || !q.UnitPrice.Equal(money.MustParse(want)) {
			t.Errorf("quoted %+v, want %s", q, want)
		}
	}

	a := step("add a type", http.MethodPut, "/int/menu/types/durian", durian, http.StatusCreated)
	wantType := api.PizzaType{PizzaTypeID: "durian", PizzaNm: "The Durian Pizza", PizzaCateg: "Veggie", PizzaImgURL: "images/durian.png"}
	if diff := cmp.Diff(wantType, apitest.Decode[api.PizzaType](t, a, http.StatusCreated)); diff != "" {
		t.Error(diff)
	}
	a = step("add a pizza", http.MethodPut, "/int/menu/pizzas/durian_l", durianL, http.StatusCreated)
	wantPizza := api.StoredPizza{PizzaID: "durian_l", PizzaTypeID: "durian", Size: "L", Price: money.MustParse("20.5")}
	if diff := cmp.Diff(wantPizza, apitest.Decode[api.StoredPizza](t, a, http.StatusCreated)); diff != "" {
		t.Error(diff)
	}
	price("20.5")
	step("change its price", http.MethodPut, "/int/menu/pizzas/durian_l", strings.Replace(durianL, "20.5", "0.01", 1), http.StatusOK)
	price("0.01")
	step("rename the type", http.MethodPut, "/int/menu/types/durian", strings.Replace(durian, "The Durian Pizza", "두리안 피자", 1), http.StatusOK)
	if got := apitest.Decode[[]api.Pizza](t, s.Get(t, "/menu/?q="+url.QueryEscape("두리안")), http.StatusOK); len(got) != 1 || got[0].PizzaID != "durian_l" {
		t.Errorf("the menu has %+v", got)
	}
	step("remove the pizza", http.MethodDelete, "/int/menu/pizzas/durian_l", "", http.StatusNoContent)
	if q, _ := s.quoted(t, "durian_l"); q.Error == nil || *q.Error != api.UnknownPizza {
		t.Errorf("quoted %+v", q)
	}
	step("remove the type", http.MethodDelete, "/int/menu/types/durian", "", http.StatusNoContent)
	if got := apitest.Decode[[]api.PizzaType](t, s.Get(t, "/menu/types/"), http.StatusOK); len(got) != 32 {
		t.Errorf("%d types, want the 32 of before", len(got))
	}
	audittest.Expect(t, s.Log.String(), told...)
}

func TestChangeCatalogRefuses(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	exec(t, superuser(t, db), `
		INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES ('1', 'ada', 'BRANCH001', '2026-01-01', '12:00:00');
		INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('1', 'hawaiian_s', 1)`)
	s := start(t, db)
	before := s.Get(t, "/menu/").Header.Get("ETag")
	_, versionBefore := s.quoted(t, "bbq_ckn_l")
	field := func(name, message string) []fault.Field { return []fault.Field{{Field: name, Message: message}} }
	const (
		types, pizzas = "/int/menu/types/", "/int/menu/pizzas/"
		put, del      = http.MethodPut, http.MethodDelete

		several = "some fields are not valid"
		imageIs = "must be a relative path, such as images/durian.png: no scheme, no leading slash, no .."
		longID  = "must be at most 50 characters"
		control = "must not contain control characters"
		priceIs = "must be more than 0 and at most 9999.99"
		moneyIs = "must be a decimal number with at most 2 digits after the point"
	)
	priced := func(price string) string { return strings.Replace(durianL, "20.5", price, 1) }
	long := strings.Repeat("d", 51)
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		detail             string
		fields             []fault.Field
	}{
		"type_name_taken":  {put, types + "durian", strings.Replace(durian, "Durian", "Hawaiian", 1), 409, "the pizza type hawaiian already has this name", nil},
		"type_with_pizzas": {del, types + "hawaiian", "", 409, "the type has pizzas; remove them first", nil},
		"type_unknown":     {del, types + "durian", "", 404, "there is no such pizza type", nil},
		"type_nothing": {put, types + "durian", `{}`, 400, several, []fault.Field{
			{Field: "pizza_nm", Message: "is required"}, {Field: "pizza_categ", Message: "is required"},
			{Field: "pizza_img_url", Message: "is required"},
		}},
		"type_wrong_types": {put, types + "durian", `{"pizza_nm":1,"pizza_categ":[],"pizza_img_url":{}}`, 400, several, []fault.Field{
			{Field: "pizza_categ", Message: "must be a string"}, {Field: "pizza_img_url", Message: "must be a string"},
			{Field: "pizza_nm", Message: "must be a string"},
		}},
		"type_image_elsewhere": {
			put, types + "durian", strings.Replace(durian, "images/", "https://evil.example/", 1), 400,
			"pizza_img_url " + imageIs,
			field("pizza_img_url", imageIs),
		},
		"type_id_too_long":     {put, types + long, durian, 400, "id " + longID, field("id", longID)},
		"type_id_nul":          {put, types + "a%00b", durian, 400, "id " + control, field("id", control)},
		"type_id_line_break":   {del, types + "a%0ab", "", 400, "id " + control, field("id", control)},
		"type_id_invalid_utf8": {put, types + "a%ffb", durian, 400, "id must be UTF-8", field("id", "must be UTF-8")},
		"type_broken_json":     {put, types + "durian", `{`, 400, "the body is not valid JSON", nil},
		"type_no_body":         {put, types + "durian", ``, 400, "the body is empty; a JSON object is expected", nil},
		"type_body_too_large":  {put, types + "durian", strings.Repeat(" ", 70_000), 413, "the body must not be larger than 65536 bytes", nil},
		"pizza_of_no_type":     {put, pizzas + "durian_l", durianL, 400, "pizza_type_id is no pizza type", field("pizza_type_id", "is no pizza type")},
		"pizza_size_taken": {
			put, pizzas + "durian_l", `{"pizza_type_id":"hawaiian","size":"S","price":9.5}`, 409, "the pizza hawaiian_s already has this type and size", nil,
		},
		"pizza_ordered": {del, pizzas + "hawaiian_s", "", 409, "the pizza has orders and cannot be removed", nil},
		"pizza_unknown": {del, pizzas + "durian_l", "", 404, "there is no such pizza", nil},
		"pizza_nothing": {put, pizzas + "x", `{}`, 400, several, []fault.Field{
			{Field: "pizza_type_id", Message: "is required"}, {Field: "size", Message: "is required"}, {Field: "price", Message: "is required"},
		}},
		"pizza_free":     {put, pizzas + "x", priced("0"), 400, "price " + priceIs, field("price", priceIs)},
		"pizza_too_dear": {put, pizzas + "x", priced("10000"), 400, "price " + priceIs, field("price", priceIs)},
		"pizza_price_of_3_digits": {
			put, pizzas + "x", priced("20.505"), 400,
			"price " + moneyIs, field("price", moneyIs),
		},
		"pizza_price_huge": {
			put, pizzas + "x", priced("1e999999999"), 400,
			"price " + moneyIs, field("price", moneyIs),
		},
		"pizza_id_too_long": {del, pizzas + long, "", 400, "id " + longID, field("id", longID)},
		"pizza_id_sql":      {del, pizzas + url.PathEscape("' OR '1'='1"), "", 404, "there is no such pizza", nil},
	} {
		t.Run(name, func(t *testing.T) {
			p := apitest.Decode[problem.Problem](t, s.write(t, test.method, test.path, test.body), test.status)
			if p.Detail != test.detail {
				t.Errorf("detail %q, want %q", p.Detail, test.detail)
			}
			if diff := cmp.Diff(test.fields, p.Errors); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("other_media_type", func(t *testing.T) {
		a := s.Call(t, put, types+"durian", durian, "Authorization", "Bearer "+adminToken, "Content-Type", "text/plain")
		apitest.Decode[problem.Problem](t, a, http.StatusUnsupportedMediaType)
	})
	if _, v := s.quoted(t, "bbq_ckn_l"); v != versionBefore || s.Get(t, "/menu/").Header.Get("ETag") != before {
		t.Errorf("refused changes changed the catalog: version %d, was %d", v, versionBefore)
	}
}

// Texts that look the same are the same: when stored, compared for conflicts,
// and looked up, even next to rows of the old system.
func TestTextsOfTheCatalog(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	decomposed := norm.NFD.String("불고기")
	conn := superuser(t, db)
	for _, sql := range []string{"INSERT INTO pizza_types VALUES ($1, $1, 'C', 'images/a.png')", "INSERT INTO pizza VALUES ('old_l', $1, $1, 10)"} {
		if _, err := conn.Exec(t.Context(), sql, decomposed); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, db)
	typ := func(name string) string {
		return `{"pizza_nm":"` + name + `","pizza_categ":"C","pizza_img_url":"images/a.png"}`
	}
	for _, name := range []string{"불고기", decomposed} {
		if a := s.write(t, "PUT", "/int/menu/types/new", typ(name)); a.Status != http.StatusConflict {
			t.Errorf("a second %+q: %d %s", name, a.Status, a.Body)
		}
		body := `{"pizza_nm":"` + name + `","size":"` + norm.NFC.String(name) + `"}`
		if got := apitest.Decode[api.FoundPizza](t, s.Post(t, "/menu/get_pizza_id/", asJSON, body), http.StatusOK); got.PizzaID != "old_l" {
			t.Errorf("%+q is %q", name, got.PizzaID)
		}
	}
	if a := s.write(t, "PUT", "/int/menu/pizzas/new_l", `{"pizza_type_id":"`+decomposed+`","size":"불고기","price":1}`); a.Status != http.StatusConflict {
		t.Errorf("a second size: %d %s", a.Status, a.Body)
	}
	// Rows of the old system can be replaced under their ids; new ids must be normal.
	path := "/int/menu/types/" + url.PathEscape(decomposed)
	if got := apitest.Decode[api.PizzaType](t, s.write(t, "PUT", path, typ(norm.NFD.String("각")+"\u00a0x")), http.StatusOK); got.PizzaNm != "각 x" {
		t.Errorf("kept as %+q", got.PizzaNm)
	}
	for _, id := range []string{norm.NFD.String("새"), "ne\u200bw", "\u202ewen", "nеw"} {
		a := s.write(t, "PUT", "/int/menu/types/"+url.PathEscape(id), typ("New"))
		if p := apitest.Decode[problem.Problem](t, a, http.StatusBadRequest); len(p.Errors) != 1 || p.Errors[0].Field != "id" {
			t.Errorf("%+q: %+v", id, p.Errors)
		}
	}
}

// Any id that the tables can hold can be used in a path, decoded once.
func TestIDsInPaths(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.New(t))
	for i, id := range []string{"두리안", "a b", "a/b", "a%b", "a%2fb", "a+b", "..", "?", "#", "%", strings.Repeat("피", 50)} {
		path := "/int/menu/types/" + url.PathEscape(id)
		if id == ".." {
			path = "/int/menu/types/%2e%2e"
		}
		body := fmt.Sprintf(`{"pizza_nm":"Pizza %d","pizza_categ":"x","pizza_img_url":"images/x.png"}`, i)
		if got := apitest.Decode[api.PizzaType](t, s.write(t, http.MethodPut, path, body), http.StatusCreated); got.PizzaTypeID != id {
			t.Errorf("%s is kept as %q, want %q", path, got.PizzaTypeID, id)
		}
		if a := s.write(t, http.MethodDelete, path, ""); a.Status != http.StatusNoContent {
			t.Errorf("DELETE %s: %d %s", path, a.Status, a.Body)
		}
	}
}

// Concurrent changes are serialized: between one's checks and its write, no
// other can interfere, and every change has its own version.
func TestConcurrentChanges(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t))
	_, before := s.quoted(t, "x")
	const writers = 8
	answers := make([]apitest.Answer, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { answers[i] = s.write(t, http.MethodPut, fmt.Sprintf("/int/menu/types/durian%d", i), durian) })
	}
	wg.Wait()
	created := 0
	for _, a := range answers {
		switch a.Status {
		case http.StatusCreated:
			created++
		case http.StatusConflict:
		default:
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if created != 1 {
		t.Errorf("%d types have the same name", created)
	}

	for i := range writers {
		wg.Go(func() {
			body := fmt.Sprintf(`{"pizza_nm":"Pizza %d","pizza_categ":"x","pizza_img_url":"images/x.png"}`, i)
			answers[i] = s.write(t, http.MethodPut, fmt.Sprintf("/int/menu/types/t%d", i), body)
		})
	}
	wg.Wait()
	seen := map[int64]bool{}
	for _, a := range answers {
		seen[version(t, a)] = true
	}
	if _, after := s.quoted(t, "x"); len(seen) != writers || after != before+1+writers {
		t.Errorf("%d writers made %d versions, from %d to %d", writers, len(seen), before, after)
	}
}

// The old system writes to the same tables without our checks: a change waits
// for its transaction, and then sees its result.
func TestChangeWaitsForTheOldSystem(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db)
	old, observer := superuser(t, db), superuser(t, db)
	exec(t, old, "BEGIN")
	exec(t, old, "INSERT INTO pizza_types VALUES ('old', 'The Durian Pizza', 'x', 'images/old.png')")
	ours := make(chan apitest.Answer, 1)
	go func() {
		defer close(ours)
		ours <- s.write(t, http.MethodPut, "/int/menu/types/durian", durian)
	}()
	for waiting := false; !waiting; {
		const query = `SELECT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'menu' AND wait_event_type = 'Lock')`
		if err := observer.QueryRow(t.Context(), query).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, v := s.quoted(t, "bbq_ckn_l"); v < 1 {
		t.Error("readers wait too")
	}
	exec(t, old, "COMMIT")
	if p := apitest.Decode[problem.Problem](t, <-ours, http.StatusConflict); p.Detail != "the pizza type old already has this name" {
		t.Errorf("detail %q", p.Detail)
	}
}

// Catalog changes do not block orders: their foreign keys do not wait.
func TestOrdersDoNotWaitForChanges(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db)
	menu, order := connect(t, db.URL("menu_svc")), connect(t, db.URL("order_svc"))
	exec(t, menu, "BEGIN")
	exec(t, menu, "LOCK TABLE pizza_types, pizza IN SHARE ROW EXCLUSIVE MODE") // as LockCatalog does
	exec(t, order, "SET lock_timeout = '2s'")
	exec(t, order, "SET pizza.member = 'ada'") // the owner of these rows
	exec(t, order, "INSERT INTO orders (order_id, member_id, bran_id, date, time) VALUES ('1', 'ada', 'BRANCH001', '2026-01-01', '12:00:00')")
	exec(t, order, "INSERT INTO order_detail (order_id, pizza_id, quantity) VALUES ('1', 'hawaiian_s', 1)")
	if q, _ := s.quoted(t, "hawaiian_s"); q.UnitPrice == nil {
		t.Errorf("quoted %+v", q)
	}
	exec(t, menu, "ROLLBACK")
}

func TestAdminCredential(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	open, closed := start(t, db), startWith(t, db, server.Admin{})
	before := open.Get(t, "/menu/types/").Header.Get("ETag")
	for name, test := range map[string]struct {
		s             *service
		authorization string
		status        int
		detail        string
	}{
		"missing":        {open, "", 401, "the admin credential is required"},
		"wrong":          {open, "Bearer " + strings.Replace(adminToken, "an", "no", 1), 401, "the admin credential is not valid"},
		"part":           {open, "Bearer " + adminToken[:len(adminToken)-1], 401, "the admin credential is not valid"},
		"other_scheme":   {open, "Basic " + adminToken, 401, "the admin credential is required"},
		"without_scheme": {open, adminToken, 401, "the admin credential is required"},
		"closed":         {closed, "Bearer " + adminToken, 403, "this operation is closed: ADMIN_TOKEN is not set"},
		"closed_missing": {closed, "", 403, "this operation is closed: ADMIN_TOKEN is not set"},
		"closed_empty":   {closed, "Bearer ", 403, "this operation is closed: ADMIN_TOKEN is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/int/menu/types/bbq_ckn", "/int/menu/pizzas/bbq_ckn_l"} {
				for _, method := range []string{http.MethodPut, http.MethodDelete} {
					// The credential is checked before the body is read.
					a := test.s.Call(t, method, path, "not even JSON", "Authorization", test.authorization)
					if p := apitest.Decode[problem.Problem](t, a, test.status); p.Detail != test.detail {
						t.Errorf("detail %q, want %q", p.Detail, test.detail)
					}
					if has := a.Header.Get("WWW-Authenticate") != ""; has != (test.status == 401) {
						t.Errorf("WWW-Authenticate is there: %v", has)
					}
				}
			}
		})
	}
	if got := open.Get(t, "/menu/types/").Header.Get("ETag"); got != before {
		t.Error("the catalog changed")
	}
}
