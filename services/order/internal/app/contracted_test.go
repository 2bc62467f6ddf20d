package app_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

// answers returns all answers to reads of kim's orders: the pages, with their links, and
// each order.
func (s *service) answers(t *testing.T, kim string) (list []string) {
	t.Helper()
	read := func(path string) apitest.Answer {
		a := s.get(t, path, kim)
		list = append(list, fmt.Sprintf("%s: %d %s %s", path, a.Status, a.Header.Get("Link"), a.Body))
		return a
	}
	read("/order/myorder/")
	for path := "/order/myorder/?limit=1"; path != ""; {
		page := read(path)
		for _, l := range apitest.Decode[[]api.OrderRow](t, page, http.StatusOK) {
			read("/order/" + l.OrderID + "/")
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(page.Header.Get("Link"), "<"), ">")
	}
	return list
}

// A process of the service that was started before the contract goes on through it, with
// its prepared statements, and answers as before; so does one that is started after it.
func TestServesThroughTheContract(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string][]string{
		"design_document": nil,
		"integer_ids":     migrationstest.IntegerIDs(),
		"missing_values":  {" NOT NULL", ""},
		"float4_price":    {"price FLOAT", "price FLOAT4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, replace...)
			db, err := migrationstest.On(t.Context(), old.DSN)
			if err != nil {
				t.Fatal(err)
			}
			conn := admin(t, db)
			for _, sql := range []string{
				"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = German', current_database()); END $$",
				// Orders of one moment are told apart by date, time and id.
				`INSERT INTO orders (order_id, member_id, date, time, created_at)
				 SELECT 100 + n, 'kim', '2024-02-29', '23:59:5' || n, '2024-02-29 15:00Z' FROM generate_series(5, 9) n`,
				`INSERT INTO orders (order_id, member_id, date, time, created_at)
				 VALUES (99, 'kim', '2024-02-28', '11:00:00.25', '2024-02-29 15:00Z')`,
				"INSERT INTO order_detail (order_id, pizza_id, quantity) SELECT order_id, 'bbq_ckn_s', 1 FROM orders",
			} {
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			o := migrationstest.ContractOptions(t)
			db.Prepare(t, o)
			menu := startMenu(t, db)
			s := startCached(t, db, menu)
			kim := s.as(t, "kim")
			const body = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_s","quantity":2}],"expected_total":25.50}`
			apitest.Decode[api.PlacedOrder](t, s.order(t, kim, body), http.StatusCreated)
			before := s.answers(t, kim)
			if len(before) < 18 {
				t.Errorf("%d answers", len(before))
			}

			// Others order and read all along.
			var working sync.WaitGroup
			var done atomic.Bool
			for i := range 4 {
				lee := append(member(s.as(t, fmt.Sprint("lee", i))), "Content-Type", "application/json")
				working.Go(func() {
					for n := 0; !done.Load(); n++ {
						a, err := s.Send(t.Context(), http.MethodPost, "/order/", body, lee...)
						b, err2 := s.Send(t.Context(), http.MethodGet, "/order/myorder/?limit=2", "", lee...)
						if err != nil || err2 != nil || a.Status != http.StatusCreated || b.Status != http.StatusOK {
							t.Errorf("order %d: %d %s %v; list: %d %s %v", n, a.Status, a.Body, err, b.Status, b.Body, err2)
							return
						}
					}
				})
			}
			err = migrations.ApplyContract(t.Context(), db.URL("migrator"), o)
			done.Store(true)
			working.Wait()
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(before, s.answers(t, kim)); diff != "" {
				t.Errorf("the process that went on: %s", diff)
			}
			fresh := startCached(t, db, menu)
			if diff := cmp.Diff(before, fresh.answers(t, fresh.as(t, "kim"))); diff != "" {
				t.Errorf("a new process: %s", diff)
			}
			for _, s := range []*service{s, fresh} {
				placed := apitest.Decode[api.PlacedOrder](t, s.order(t, s.as(t, "kim"), body), http.StatusCreated)
				if a := s.get(t, "/order/"+placed.OrderID+"/", s.as(t, "kim")); a.Status != http.StatusOK {
					t.Errorf("order %s: %d %s", placed.OrderID, a.Status, a.Body)
				}
				// A cursor that somebody made up is no error, before as after.
				for _, path := range madeUpCursors() {
					if a := s.get(t, path, kim); a.Status != http.StatusOK {
						t.Errorf("%s: %d %s", path, a.Status, a.Body)
					}
				}
			}
		})
	}
}

// madeUpCursors returns paths of pages after places that no order has.
func madeUpCursors() (paths []string) {
	for _, c := range []string{
		`{"v":2,"p":1709218800000000,"d":"today","t":"noon","i":"1"}`, `{"v":2,"d":"2025-02-30","t":"24:00:00","i":"1"}`,
		`{"v":2,"d":"0000-01-01","t":"12:00:60","i":"1"}`, `{"v":2,"p":1709218800000000,"d":"","t":"","i":"1"}`,
	} {
		paths = append(paths, "/order/myorder/?cursor="+base64.RawURLEncoding.EncodeToString([]byte(c)))
	}
	return paths
}
