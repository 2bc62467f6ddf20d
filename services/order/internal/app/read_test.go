package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// Reads are limited per member, across paths and tokens, and separately from
// orders.
func TestReadRatePerMember(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	s := startWith(t, app.Config{
		DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: startMenu(t, db), Timeout: 2 * time.Second},
		Limits: app.Limits{Read: ratelimit.Rate{Count: 3, Per: time.Hour}, Order: ratelimit.Rate{Count: 2, Per: time.Hour}},
	})
	const policy = `"member";q=3;w=3600`
	for i, path := range []string{"/order/myorder/?limit=1", "/api/order/none/", "/api/order/myorder"} {
		a := s.get(t, path, s.as(t, "ada"))
		want := fmt.Sprintf(`"member";r=%d;`, 2-i)
		if a.Status >= 429 || a.Header.Get("RateLimit-Policy") != policy || !strings.HasPrefix(a.Header.Get("RateLimit"), want) {
			t.Errorf("read %d: %d, RateLimit %q, policy %q", i, a.Status, a.Header.Get("RateLimit"), a.Header.Get("RateLimit-Policy"))
		}
	}
	for _, path := range []string{"/order/myorder/", "/order/none/", "/order/myorder/?limit=500"} {
		a := s.get(t, path, s.as(t, "ada"))
		p := apitest.Decode[problem.Problem](t, a, http.StatusTooManyRequests)
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 1200 || p.Detail == "" || a.Header.Get("RateLimit-Policy") != policy {
			t.Errorf("%s: Retry-After %q, %+v", path, a.Header.Get("Retry-After"), p)
		}
	}
	if a := s.get(t, "/order/myorder/?limit=x", s.as(t, "eve")); a.Status != 400 || a.Header.Get("RateLimit") != "" {
		t.Errorf("a bad request: %d, RateLimit %q", a.Status, a.Header.Get("RateLimit"))
	}
	if a := s.get(t, "/order/myorder/", s.as(t, "eve")); a.Status != 200 || !strings.HasPrefix(a.Header.Get("RateLimit"), `"member";r=2;`) {
		t.Errorf("another member: %d, RateLimit %q", a.Status, a.Header.Get("RateLimit"))
	}
	body := `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
	if a := s.order(t, s.as(t, "ada"), body); a.Status != 201 {
		t.Errorf("an order after too many reads: %d %s", a.Status, a.Body)
	}
}

// A page has at most 1,000 lines, of whole orders, and Link leads to the rest.
func TestPageIsBoundedInLines(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	for _, sql := range []string{
		"INSERT INTO orders (order_id, member_id, date, time, created_at) SELECT 'o' || n, 'ada', '', '', to_timestamp(n) FROM generate_series(1, 90) n",
		"INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT 'o' || n, 'bbq_ckn_s', 1 FROM generate_series(1, 90) n, generate_series(1, 30)",
		"INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT 'o1', 'bbq_ckn_s', 1 FROM generate_series(1, 1500)", // the old system had no limit
	} {
		if _, err := admin(t, db).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, db, nowhere)
	lines := map[string]int{}
	var pages []int
	for path := "/order/myorder/?limit=500"; path != ""; {
		a := s.get(t, path, s.as(t, "ada"))
		rows := apitest.Decode[[]api.OrderRow](t, a, 200)
		before := len(lines)
		for _, r := range rows {
			lines[r.OrderID]++
		}
		pages = append(pages, len(rows))
		if len(rows) > 1000 && len(lines) != before+1 {
			t.Errorf("a page of %d lines of %d orders", len(rows), len(lines)-before)
		}
		path = ""
		if link := a.Header.Get("Link"); link != "" {
			path = link[1:strings.Index(link, ">")]
		}
	}
	if fmt.Sprint(pages) != "[990 990 690 1530]" && fmt.Sprint(pages) != "[990 990 690 1530 0]" {
		t.Errorf("pages of %v lines", pages)
	}
	for n := 1; n <= 90; n++ {
		want := 30
		if n == 1 {
			want = 1530
		}
		if got := lines["o"+strconv.Itoa(n)]; got != want {
			t.Errorf("order %d has %d lines, want %d", n, got, want)
		}
	}
}

// A cursor from before orders were sorted by creation time no longer marks a
// position.
func TestOldCursorIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, migrationstest.NewSeeded(t), nowhere)
	const cursor = "eyJkIjoiMjAyNi0xMS0yMiIsInQiOiIxODozMDowNSIsImkiOiJhIn0" // {"d":"2026-11-22","t":"18:30:05","i":"a"}
	p := apitest.Decode[problem.Problem](t, s.get(t, "/order/myorder/?cursor="+cursor, s.as(t, "ada")), 400)
	if len(p.Errors) != 1 || p.Errors[0].Field != "cursor" || !strings.Contains(p.Errors[0].Message, "start again") {
		t.Errorf("%+v", p)
	}
}

// However many reads there are and however long they take, they leave
// connections for orders, and vice versa.
func TestReadsAndOrdersLeaveEachOtherConnections(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	for _, sql := range []string{
		"INSERT INTO orders (order_id, member_id, date, time) SELECT n, 'm' || n, '', '' FROM generate_series(1, 30) n",
		"INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT n, 'bbq_ckn_s', 1 FROM generate_series(1, 30) n",
		// Reading lines waits for a lock that the test holds; adding them does not.
		"CREATE POLICY slow ON order_detail AS RESTRICTIVE FOR SELECT TO order_svc USING (pg_advisory_xact_lock_shared(8) IS NOT NULL)",
	} {
		if _, err := admin(t, db).Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	hold := func(sql string) (release func()) {
		tx, err := admin(t, db).Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
		return func() { _ = tx.Rollback(context.Background()) }
	}
	blocked := func(statement string) (n int) { // only this one, because the event relay also waits for locks
		const sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '-- name: ' || $1 || ' %'"
		if err := admin(t, db).QueryRow(t.Context(), sql, statement).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	s := start(t, db, startMenu(t, db)) // 8 connections: 4 for orders, 2 for reads
	eve := s.as(t, "eve")
	body := `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1}]}`
	var members atomic.Int32
	get := func() int {
		return s.get(t, "/order/myorder/", s.as(t, fmt.Sprintf("m%d", 1+members.Add(1)%30))).Status
	}
	post := func() int { return s.order(t, eve, body).Status }
	branches := func() int { return s.get(t, "/order/branch/", "").Status }
	for name, test := range map[string]struct {
		lock       string
		statement  string
		slow, fast func() int
		share      int
		status     int
	}{
		"reads":  {"SELECT pg_advisory_xact_lock(8)", "ListOrders", get, post, 2, 201},
		"orders": {"LOCK TABLE order_outbox IN ACCESS EXCLUSIVE MODE", "InsertOrder", post, get, 4, 200},
		// Without token and limit: concurrent requests share one read.
		"branches": {"LOCK TABLE branch IN ACCESS EXCLUSIVE MODE", "ListBranches", branches, get, 1, 200},
	} {
		t.Run(name, func(t *testing.T) {
			release := hold(test.lock)
			var all sync.WaitGroup
			for range 30 {
				all.Go(func() { test.slow() })
			}
			for blocked(test.statement) < test.share {
				time.Sleep(time.Millisecond)
			}
			if status := test.fast(); status != test.status {
				t.Errorf("%d while the others wait", status)
			}
			if n := blocked(test.statement); n > test.share {
				t.Errorf("%d connections are taken, want %d", n, test.share)
			}
			release()
			all.Wait()
		})
	}
}
