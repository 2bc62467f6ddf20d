package app_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

// Clients disconnect at random points, hundreds of times, over separate
// connections. Meanwhile the branch is locked repeatedly, so that many are in
// the middle of the statement. Each order must be stored completely or not at
// all. Acknowledged orders are stored, and each client with a key retries and
// ends up with exactly one.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	const clients, each = 8, 50
	db := migrationstest.NewSeeded(t)
	s := start(t, db, startMenu(t, db))
	conn := admin(t, db)
	mustBeFirst(t, s.order(t, s.as(t, "ada"), hangUpOrder)) // opens the connections
	began := time.Now()
	mustBeFirst(t, s.order(t, s.as(t, "ada"), hangUpOrder))
	longest := 8 * time.Since(began) // orders wait for each other and for the lock

	seed := uint64(began.UnixNano())
	t.Logf("seed %d, hanging up within %s", seed, longest)
	locking, stop := context.WithCancel(t.Context())
	var locker sync.WaitGroup
	locker.Go(func() { lockNowAndThen(locking, t, db, rand.New(rand.NewPCG(seed, 0))) })

	var answered atomic.Int64
	var all sync.WaitGroup
	for c := range clients {
		dice := rand.New(rand.NewPCG(seed, uint64(c)+1))
		all.Go(func() {
			for i := range each {
				name := fmt.Sprintf("member-%d-%d", c, i)
				status, err := postAndHangUp(s, name, s.as(t, name), i%2 == 0, time.Duration(dice.Int64N(int64(longest))), dice)
				if err != nil {
					t.Error(err)
				}
				if status == http.StatusCreated {
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	stop()
	locker.Wait()
	eventually(t, "nothing is in work", func() bool { return s.gate(t, "in_work") == 0 && s.gate(t, "queued") == 0 })
	eventually(t, "no statement runs", func() bool {
		var n int
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND usename = 'order_svc' AND state = 'active'`).Scan(&n)
		return err == nil && n == 0
	})
	mustBeWhole(t, conn)
	orders, lines := kept(t, conn)
	if lines != 2*orders || orders < int(answered.Load())+2 {
		t.Errorf("%d orders with %d lines; %d were answered", orders, lines, answered.Load())
	}
	t.Logf("%d orders, %d answered, %d placed though nobody waited, %d not placed",
		clients*each, answered.Load(), orders-2-int(answered.Load()), clients*each+2-orders)

	for c := range clients {
		for i := 0; i < each; i += 2 {
			name := fmt.Sprintf("member-%d-%d", c, i)
			apitest.Decode[api.PlacedOrder](t, s.orderOnce(t, s.as(t, name), hangUpOrder), http.StatusCreated)
		}
	}
	mustBeWhole(t, conn)
	mustHaveOneEach(t, conn, clients*each/2)
}

const hangUpOrder = `{"branchId":"BRANCH001","lines":[{"pizza_id":"bbq_ckn_l","quantity":1},{"pizza_id":"hawaiian_s","quantity":2}]}`

// lockNowAndThen repeatedly locks the branch for some milliseconds.
func lockNowAndThen(ctx context.Context, t *testing.T, db *migrationstest.Database, dice *rand.Rand) {
	holder, err := pgx.Connect(context.WithoutCancel(ctx), db.URL(""))
	if err != nil {
		t.Error(err)
		return
	}
	defer holder.Close(context.WithoutCancel(ctx))
	for ctx.Err() == nil {
		_, err := holder.Exec(context.WithoutCancel(ctx),
			fmt.Sprintf("BEGIN; SELECT FROM branch WHERE bran_id = 'BRANCH001' FOR UPDATE; SELECT pg_sleep(%f); COMMIT", dice.Float64()/100))
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// postAndHangUp sends an order over a separate connection, which it closes
// after a while, at any point. It returns the response status if the response
// was complete by then.
func postAndHangUp(s *service, name, bearer string, withKey bool, after time.Duration, dice *rand.Rand) (status int, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Public, "http://"))
	if err != nil {
		return 0, err
	}
	key := ""
	if withKey {
		key = "Idempotency-Key: key\r\n"
	}
	request := fmt.Sprintf("POST /order/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		name, bearer, key, len(hangUpOrder), hangUpOrder)
	if dice.IntN(20) == 0 { // some disconnect before the end of the request
		request = request[:dice.IntN(len(request))]
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return 0, err
	}
	hungUp := time.AfterFunc(after, func() { conn.Close() })
	defer hungUp.Stop()
	defer conn.Close()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, nil // expected after a disconnect
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, nil // a partial response does not count
	}
	return resp.StatusCode, nil
}

// mustHaveOneEach checks the number of members with a key, and that each has one order.
func mustHaveOneEach(t *testing.T, conn *pgx.Conn, members int) {
	t.Helper()
	var keys, orders, most int
	err := conn.QueryRow(t.Context(), `
		SELECT count(DISTINCT member_id), sum(n), max(n)
		FROM (SELECT k.member_id, count(*) AS n FROM idempotency_key k JOIN orders o USING (member_id) GROUP BY k.member_id) AS m`).Scan(&keys, &orders, &most)
	if err != nil {
		t.Fatal(err)
	}
	if keys != members || orders != members || most != 1 {
		t.Errorf("%d members with a key have %d orders, the most of one is %d; want %d of each", keys, orders, most, members)
	}
}
