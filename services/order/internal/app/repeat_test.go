package app_test

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

const bbq = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`

// orderOnce sends an order, as JSON, with the idempotency key "key".
func (s *service) orderOnce(t *testing.T, bearer, body string) apitest.Answer {
	t.Helper()
	return s.Post(t, "/order/", "application/json", body, append(member(bearer), "Idempotency-Key", "key")...)
}

// mustBeFirst checks the response to a newly placed order.
func mustBeFirst(t *testing.T, a apitest.Answer) {
	t.Helper()
	if a.Status != http.StatusCreated || a.Header.Get("Idempotent-Replayed") != "" {
		t.Fatalf("status %d, Idempotent-Replayed %q: %s", a.Status, a.Header.Get("Idempotent-Replayed"), a.Body)
	}
}

// mustRepeat checks that again repeats the first response.
func mustRepeat(t *testing.T, first, again apitest.Answer) {
	t.Helper()
	if again.Status != first.Status || !bytes.Equal(again.Body, first.Body) {
		t.Fatalf("the first answer was %d %s, now it is %d %s", first.Status, first.Body, again.Status, again.Body)
	}
	for _, name := range []string{"Content-Type", "Location"} {
		if again.Header.Get(name) != first.Header.Get(name) {
			t.Errorf("%s was %q, now it is %q", name, first.Header.Get(name), again.Header.Get(name))
		}
	}
	if got := again.Header.Values("Idempotent-Replayed"); len(got) != 1 || got[0] != "true" {
		t.Errorf("Idempotent-Replayed %q", got)
	}
}

// mustHave checks the number of orders and keys, and that every order has lines
// and an announcement.
func mustHave(t *testing.T, conn *pgx.Conn, orders, keys int) {
	t.Helper()
	var got, lines, announced, kept int
	err := conn.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM orders), (SELECT count(DISTINCT order_id) FROM order_detail),
		       (SELECT count(DISTINCT subject) FROM `+eventsOfOrders+` e),
		       (SELECT count(*) FROM idempotency_key)`).Scan(&got, &lines, &announced, &kept)
	if err != nil {
		t.Fatal(err)
	}
	if got != orders || lines != orders || announced != orders || kept != keys {
		t.Errorf("%d orders, %d with lines, %d announced, %d keys; want %d orders and %d keys", got, lines, announced, kept, orders, keys)
	}
}

// metric reads one number from /metrics.
func (s *service) metric(t *testing.T, name string) float64 {
	t.Helper()
	resp, err := http.Get(s.Internal + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// The same order with the same key is placed once, however it is encoded.
func TestRepeatOrder(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	conn := admin(t, db)
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	const first = `{"branchId":"BRANCH001","expected_total":41.75,"lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{"name":"The Hawaiian Pizza","size":"S","quantity":2}]}`
	for i, test := range []struct{ name, path, key, contentType, body string }{
		{"same_bytes", "/order/", "key", asJSON, first},
		{"other_path", "/api/order", "key", asJSON, first},
		{"quoted_key", "/order/", `"key"`, asJSON, first},
		{"other_names", "/order/", "key", asJSON, `{"bran_id":"BRANCH001","items":[{"quantity":1.0,"pizza_id":"bbq_ckn_l"},{"pizza_nm":"The Hawaiian Pizza","size":"S","quantity":2}],"expected_total":41.75}`},
		{"form", "/order/", "key", asForm, `branchId=BRANCH001&expected_total=41.750&lines=[{"pizza_id":"bbq_ckn_l","quantity":1},{"name":"The+Hawaiian+Pizza","size":"S","quantity":2}]`},
		{"fields_that_are_ignored", "/order/", "key", asJSON, strings.Replace(first, "{", `{"order_id":"mine","time":"now",`, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			bearer := s.as(t, "김철수-"+test.name)
			a := s.orderOnce(t, bearer, first)
			mustBeFirst(t, a)
			for range 2 {
				mustRepeat(t, a, s.Post(t, test.path, test.contentType, test.body, append(member(bearer), "Idempotency-Key", test.key)...))
			}
			mustHave(t, conn, i+1, i+1)
		})
	}
	if got := s.metric(t, `order_idempotency_repeats_total{outcome="replayed"}`); got != 12 {
		t.Errorf("%v replays are counted, want 12", got)
	}
}

// Without a key nothing is remembered: two requests are two orders.
func TestOrderWithoutKey(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	for range 2 {
		mustBeFirst(t, s.order(t, s.as(t, "ada"), bbq))
	}
	mustHave(t, admin(t, db), 2, 0)
}

// A key belongs to the member that used it.
func TestKeyOfAnotherMember(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	ada, bob := s.orderOnce(t, s.as(t, "ada"), bbq), s.orderOnce(t, s.as(t, "bob"), bbq)
	mustBeFirst(t, ada)
	mustBeFirst(t, bob)
	if bytes.Equal(ada.Body, bob.Body) {
		t.Errorf("both got %s", ada.Body)
	}
	mustHave(t, admin(t, db), 2, 2)
}

// The key of an order cannot be used for another one.
func TestKeyOfAnotherOrder(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	bearer := s.as(t, "ada")
	first := s.orderOnce(t, bearer, bbq)
	mustBeFirst(t, first)
	for name, body := range map[string]string{
		"quantity":         `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":2}]}`,
		"pizza":            `{"branchId":"BRANCH001","lines":[{"pizza_id":"hawaiian_s","quantity":1}]}`,
		"branch":           `{"branchId":"BRANCH002","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`,
		"one_more_line":    `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"bbq_ckn_l","quantity":1}]}`,
		"total":            `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}],"expected_total":20.75}`,
		"would_be_refused": `{"branchId":"BRANCH999","lines":[{"pizza_id":"durian_l","quantity":1}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			apitest.Decode[problem.Problem](t, s.orderOnce(t, bearer, body), http.StatusUnprocessableEntity)
		})
	}
	mustRepeat(t, first, s.orderOnce(t, bearer, bbq))
	mustHave(t, admin(t, db), 1, 1)
	if got := s.metric(t, `order_idempotency_repeats_total{outcome="mismatch"}`); got != 6 {
		t.Errorf("%v mismatches are counted, want 6", got)
	}
}

// A repeated order gets its original response, despite later changes.
func TestRepeatOrderWhateverHappened(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	conn := admin(t, db)
	const body = `{"branchId":"BRANCH001","expected_total":20.75,"lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
	bearer := s.as(t, "ada")
	first := s.orderOnce(t, bearer, body)
	mustBeFirst(t, first)
	for _, since := range []struct{ name, sql, other, refused string }{
		{"price_changed", "UPDATE pizza SET price = price + 1", strings.Replace(body, "20.75", "1", 1), "21.75"},
		{"branch_gone", "SET session_replication_role = replica; DELETE FROM branch; RESET session_replication_role", bbq, "unknown branch"},
		{"pizza_not_sold", "UPDATE pizza SET price = 'NaN'", bbq, "is not on the menu"},
	} {
		t.Run(since.name, func(t *testing.T) {
			if _, err := conn.Exec(t.Context(), since.sql); err != nil {
				t.Fatal(err)
			}
			eventually(t, "a new order meets the change", func() bool {
				return strings.Contains(string(s.order(t, bearer, since.other).Body), since.refused)
			})
			mustRepeat(t, first, s.orderOnce(t, bearer, body))
		})
	}
	t.Run("menu_away", func(t *testing.T) {
		mustRepeat(t, first, start(t, db, nowhere).orderOnce(t, bearer, body))
	})
	mustHave(t, conn, 1, 1)
}

// An order that was not placed leaves its key free for any order.
func TestRefusedOrderLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s, alone := start(t, db, startMenu(t, db)), start(t, db, nowhere)
	conn := admin(t, db)
	if _, err := conn.Exec(t.Context(), "ALTER TABLE order_detail ADD CONSTRAINT no_hawaiian CHECK (pizza_id <> 'hawaiian_s')"); err != nil {
		t.Fatal(err)
	}
	bearer := s.as(t, "ada")
	for name, test := range map[string]struct {
		service *service
		body    string
		status  int
	}{
		"bad_field":       {s, `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":0}]}`, http.StatusBadRequest},
		"unknown_branch":  {s, `{"branchId":"BRANCH999","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`, http.StatusBadRequest},
		"unknown_pizza":   {s, `{"branchId":"BRANCH001","lines":[{"pizza_id":"durian_l","quantity":1}]}`, http.StatusBadRequest},
		"price_changed":   {s, `{"branchId":"BRANCH001","expected_total":1,"lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`, http.StatusConflict},
		"menu_away":       {alone, bbq, http.StatusServiceUnavailable},
		"cannot_be_kept":  {s, `{"branchId":"BRANCH001","lines":[{"pizza_id":"hawaiian_s","quantity":1}]}`, http.StatusInternalServerError},
		"body_of_no_kind": {s, `order me a pizza`, http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 {
				a := test.service.orderOnce(t, bearer, test.body)
				apitest.Decode[problem.Problem](t, a, test.status)
				if a.Header.Get("Idempotent-Replayed") != "" {
					t.Error("a refusal is replayed")
				}
			}
		})
	}
	mustHave(t, conn, 0, 0)
	mustBeFirst(t, s.orderOnce(t, bearer, bbq))
	mustHave(t, conn, 1, 1)
}

func TestBadIdempotencyKey(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := start(t, db, nowhere)
	for name, keys := range map[string][]string{
		"empty":      {""},
		"quoted":     {`""`},
		"not_closed": {`"key`},
		"too_long":   {strings.Repeat("k", 256)},
		"not_ascii":  {"열쇠"},
		"space":      {"my key"},
		"list":       {`"a", "b"`},
		"repeated":   {"key", "key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := member(s.as(t, "ada"))
			for _, key := range keys {
				headers = append(headers, "Idempotency-Key", key)
			}
			p := apitest.Decode[problem.Problem](t, s.Post(t, "/order/", "application/json", bbq, headers...), http.StatusBadRequest)
			if !strings.Contains(p.Detail, "Idempotency-Key") {
				t.Errorf("detail %q does not name the header", p.Detail)
			}
		})
	}
}

// Two hundred concurrent requests, to two replicas, place one order.
func TestRepeatOrderAtOnce(t *testing.T) {
	t.Parallel()
	const posts = 200
	db := migrationstest.NewSeeded(t)
	menu := startMenu(t, db)
	replicas := []*service{start(t, db, menu), start(t, db, menu)}
	conn := admin(t, db)
	bearer := replicas[0].as(t, "ada")

	answers := make([]apitest.Answer, posts)
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range posts {
		all.Go(func() {
			<-begin
			answers[i] = replicas[i%2].orderOnce(t, bearer, bbq)
		})
	}
	close(begin)
	all.Wait()

	var first *apitest.Answer
	retries := 0
	for i := range answers {
		// A slow machine answers 503 to some of the first requests.
		switch a := &answers[i]; {
		case a.Status == http.StatusConflict || a.Status == http.StatusServiceUnavailable:
			retries++
			// The order is stored by now, since its request has finished.
			*a = replicas[i%2].orderOnce(t, bearer, bbq)
		case a.Status == http.StatusCreated && a.Header.Get("Idempotent-Replayed") == "":
			if first != nil {
				t.Errorf("two orders are new: %s and %s", first.Body, a.Body)
			}
			first = a
		}
	}
	if first == nil {
		t.Fatal("no order is new")
	}
	for i := range answers {
		if &answers[i] != first {
			mustRepeat(t, *first, answers[i])
		}
	}
	t.Logf("%d answers: 1 new, %d replayed at once, %d told to try again", posts, posts-1-retries, retries)
	mustHave(t, conn, 1, 1)
	rows := apitest.Decode[[]api.OrderRow](t, replicas[0].get(t, "/order/myorder/", bearer), http.StatusOK)
	if len(rows) != 1 {
		t.Errorf("the member has %d lines", len(rows))
	}
}
