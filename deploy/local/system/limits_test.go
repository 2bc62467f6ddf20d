package system

import (
	"net/http"
	"strings"
	"testing"
)

// testLimits checks that unusual but valid input works end to end.
func (s *system) testLimits(t *testing.T) {
	branch := s.branch(t)
	order := func(t *testing.T, token string) {
		t.Helper()
		a := s.postJSON(t, "/order/", token, js(t, object{"branchId": branch, "lines": []object{{"pizza_id": "bbq_ckn_s", "quantity": 99}}}))
		id := decode[placedOrder](t, a.want(t, http.StatusCreated)).OrderID
		s.send(t, request{method: http.MethodGet, path: "/order/" + id + "/", token: token}).want(t, http.StatusOK)
	}
	for name, id := range map[string]string{
		"an id of 100 characters":                     strings.Repeat("a", 100),
		"an id of 100 Korean characters, 300 bytes":   strings.Repeat("피", 100),
		"an id of 100 characters outside the BMP":     strings.Repeat("🍕", 100),
		"an id that looks like SQL":                   `'; DROP TABLE orders; --`,
		"an id with quotes, backslashes and brackets": `"\\{}[]<>&%s$1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.postJSON(t, "/login/register/", "", js(t, object{"id": id, "pw": password, "name": "이름"})).want(t, http.StatusCreated)
			if got := decode[object](t, a)["member_id"]; got != id {
				t.Errorf("registered as %q, want %q", got, id)
			}
			order(t, s.login(t, id, password))
		})
	}
	t.Run("Korean name and password", func(t *testing.T) {
		t.Parallel()
		s.postJSON(t, "/login/register/", "", js(t, object{"id": "hangul", "pw": "떡볶이먹고싶다!", "name": strings.Repeat("이", 100)})).want(t, http.StatusCreated)
		a := s.postJSON(t, "/login/", "", js(t, object{"id": "hangul", "pw": "떡볶이먹고싶다!"})).want(t, http.StatusOK)
		if got := decode[object](t, a)["member_nm"]; got != strings.Repeat("이", 100) {
			t.Errorf("name %q", got)
		}
	})
	t.Run("50 lines, unknown fields, and a charset", func(t *testing.T) {
		t.Parallel()
		token := s.member(t, "fifty")
		lines := make([]object, 50)
		for i := range lines {
			lines[i] = object{"pizza_id": "hawaiian_s", "quantity": 1, "topping": object{"more": "cheese"}}
		}
		a := s.send(t, request{
			method: http.MethodPost, path: "/order/", token: token, media: "application/json; charset=utf-8",
			body: js(t, object{"branchId": branch, "lines": lines, "coupon": []int{1}, "": nil}),
		}).want(t, http.StatusCreated)
		if got := decode[placedOrder](t, a); len(got.Lines) != 50 || got.Total != 525 {
			t.Errorf("%d lines, total %v; want 50 and 525", len(got.Lines), got.Total)
		}
	})
	t.Run("an order sent again with its key", func(t *testing.T) {
		t.Parallel()
		r := request{
			method: http.MethodPost, path: "/api/order/", token: s.member(t, "again"), header: map[string]string{"Idempotency-Key": `"8e03978e"`},
			body: js(t, object{"branchId": branch, "lines": []object{{"pizza_id": "bbq_ckn_s", "quantity": 1}}}),
		}
		first, again := s.send(t, r).want(t, http.StatusCreated), s.send(t, r).want(t, http.StatusCreated)
		if string(again.body) != string(first.body) || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("first %s, then %s (%v)", first.body, again.body, again.header)
		}
	})
	t.Run("an order by form, its lines as JSON text", func(t *testing.T) {
		t.Parallel()
		token := s.member(t, "form")
		s.send(t, request{
			method: http.MethodPost, path: "/order/", token: token, media: mediaForm, unchecked: true,
			body: "bran_id=" + branch + "&items=%5B%7B%22pizza_id%22%3A%22hawaiian_s%22%2C%22quantity%22%3A1%7D%5D",
		}).want(t, http.StatusCreated)
	})
	t.Run("orders of many at a time", func(t *testing.T) {
		t.Parallel()
		token := s.member(t, "crowd")
		const orders = 20
		errs := make(chan error, orders)
		for range orders {
			go func() {
				a, err := s.try(t.Context(), s.URL(), request{
					method: http.MethodPost, path: "/order/", token: token, media: mediaJSON,
					body: `{"branchId":"` + branch + `","lines":[{"pizza_id":"hawaiian_s","quantity":1},{"pizza_id":"bbq_ckn_l","quantity":1}]}`,
				})
				if err == nil && a.status != http.StatusCreated {
					t.Errorf("answer %d %s", a.status, a.body)
				}
				errs <- err
			}()
		}
		for range orders {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		rows := decode[[]orderRow](t, s.send(t, request{method: http.MethodGet, path: "/order/myorder/", token: token}).want(t, http.StatusOK))
		if len(rows) != 2*orders {
			t.Errorf("%d rows, want %d", len(rows), 2*orders)
		}
	})
}
