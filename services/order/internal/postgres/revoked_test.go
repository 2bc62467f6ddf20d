package postgres

import (
	"errors"
	"testing"

	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// A caller with a revoked token gets order.ErrRevoked from every operation, and
// nothing is read or written for it. Each token of ada is revoked in a
// different way.
func TestRevokedCaller(t *testing.T) {
	t.Parallel()
	ways(t, func(t *testing.T, w way) {
		w.exec(t, `INSERT INTO revoked_token (jti, member_id, expires_at) VALUES
			('out', 'ada', now() + interval '1 hour'), ('expired', 'ada', now() - interval '1 minute'), ('odd', 'bob', now())`)
		w.exec(t, "INSERT INTO revoked_member (member_id, generation, expires_at) VALUES ('ada', 5, now() + interval '1 hour'), ('bob', 9, now())")
		before := w.counts(t)
		for name, c := range map[string]order.Caller{
			"logged_out":                     {MemberID: "ada", TokenID: "out", Generation: 5},
			"logged_out_of_a_new_generation": {MemberID: "ada", TokenID: "out", Generation: 6},
			"named_with_another_member":      {MemberID: "ada", TokenID: "odd", Generation: 5},
			"row_not_cleared_away_yet":       {MemberID: "ada", TokenID: "expired", Generation: 5},
			"old_generation":                 {MemberID: "ada", TokenID: "good", Generation: 4},
			"no_generation":                  {MemberID: "ada", TokenID: "good"},
		} {
			_, _, answered := w.Receipt(t.Context(), c, "k")
			_, _, listed := w.List(t.Context(), c, nil, 10, 1000)
			_, got := w.Get(t.Context(), c, "a")
			for operation, err := range map[string]error{
				"check": w.Check(t.Context(), c), "answer": answered, "list": listed, "get": got,
				"insert":            w.Insert(t.Context(), c, newOrder("n", "bbq_ckn_s"), idempotency.Receipt{}),
				"insert_with_a_key": w.Insert(t.Context(), c, newOrder("n", "bbq_ckn_s"), receipt("new", "n")),
				"key_in_use":        w.Insert(t.Context(), c, newOrder("n", "bbq_ckn_s"), receipt("k", "n")),
				"bad_branch":        w.Insert(t.Context(), c, newOrder("n", "no_such_pizza"), idempotency.Receipt{}),
			} {
				if !errors.Is(err, order.ErrRevoked) {
					t.Errorf("%s, %s: %v", name, operation, err)
				}
			}
			// The database itself keeps the caller out, too.
			var rows int
			err := w.pool.QueryRow(t.Context(), `
				WITH set AS MATERIALIZED (`+setMember+`)
				SELECT count(*) FROM set, orders WHERE order_id = 'a'`, member{w.pool, c}.args()...).Scan(&rows)
			if err != nil || rows != 0 {
				t.Errorf("%s: reads %d orders, %v", name, rows, err)
			}
		}
		for _, c := range []order.Caller{
			{MemberID: "ada", TokenID: "good", Generation: 5},
			{MemberID: "ada", TokenID: "good", Generation: 6},
			{MemberID: "eve", TokenID: "good"},
		} {
			if err := w.Check(t.Context(), c); err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
		if page, _, err := w.List(t.Context(), order.Caller{MemberID: "ada", TokenID: "good", Generation: 5}, nil, 10, 1000); err != nil || len(page) != 1 {
			t.Errorf("%d orders, %v", len(page), err)
		}
		if after := w.counts(t); after != before {
			t.Errorf("%d orders, lines, answers and events, were %d", after, before)
		}
		w.mustBeNobody(t)
	})
}
