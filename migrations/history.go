package migrations

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/money"
)

// History describes where the past orders are and how to load them.
type History struct {
	// Dir holds orders.csv and order_details.csv, gzipped (.csv.gz) or not.
	Dir string
	// Zone is the shop's time zone, which applies to all dates and times.
	Zone *time.Location
	// Progress receives the progress: a bar on a terminal, otherwise lines.
	Progress io.Writer
}

// Loaded is what SeedHistory loaded: all 0 if the orders already existed.
type Loaded struct {
	Orders, Lines, Members, Quantity int
	Revenue                          money.Amount
}

// ErrPartlyLoaded is returned by SeedHistory when only some of the orders
// exist: they are someone else's, or the others were deleted.
var ErrPartlyLoaded = errors.New("only some of these orders exist already")

// historyMembers is the number of members that the orders are spread over.
const historyMembers = 500

// unusablePassword is a well-formed Argon2id hash with no known password. Login
// takes as long to reject it as any other.
const unusablePassword = "$argon2id$v=19$m=19456,t=2,p=1$bm8gcGFzc3dvcmQgaGVyZQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" //nolint:gosec // the hash of no password

type pastOrder struct {
	id, date, time string
	createdAt      time.Time
	total          money.Amount
}

type pastLine struct {
	order, pizza string
	quantity     int32
	price        money.Amount
}

type history struct {
	orders   []pastOrder
	byID     map[string]int
	lines    []pastLine
	quantity int
	revenue  money.Amount
}

// SeedHistory loads past orders at the current menu prices, in one transaction:
// an error leaves nothing behind. The files contain no members and branches; a
// hash of the order's id selects them, always the same way. If all orders
// exist, it loads nothing.
func SeedHistory(ctx context.Context, dsn string, h History) (Loaded, error) {
	var loaded Loaded
	err := inTransaction(ctx, dsn, func(tx pgx.Tx) error {
		prices, err := menuPrices(ctx, tx)
		if err != nil {
			return fmt.Errorf("read the menu: %w", err)
		}
		past, err := readHistory(os.DirFS(h.Dir), h.Zone, prices)
		if err != nil {
			return err
		}
		there, err := past.there(ctx, tx)
		if err != nil || there {
			return err
		}
		loaded, err = past.load(ctx, tx, h.Progress)
		return err
	})
	if err != nil {
		return Loaded{}, err
	}
	return loaded, nil
}

// menuPrices returns the price of each pizza that has one.
func menuPrices(ctx context.Context, tx pgx.Tx) (map[string]money.Amount, error) {
	rows, err := tx.Query(ctx, "SELECT pizza_id, price FROM pizza")
	if err != nil {
		return nil, err
	}
	prices := map[string]money.Amount{}
	var id string
	var price float64
	_, err = pgx.ForEachRow(rows, []any{&id, &price}, func() error {
		if amount, ok := money.FromFloat(price); ok {
			prices[id] = amount
		}
		return nil
	})
	return prices, err
}

func readHistory(dir fs.FS, zone *time.Location, prices map[string]money.Amount) (*history, error) {
	h := &history{byID: map[string]int{}}
	orders, err := packed(dir, "orders.csv")
	if err != nil {
		return nil, err
	}
	if err := readCSV(dir, orders, []string{"order_id", "date", "time"}, h.orderReader(zone)); err != nil {
		return nil, err
	}
	lines, err := packed(dir, "order_details.csv")
	if err != nil {
		return nil, err
	}
	return h, readCSV(dir, lines, []string{"order_id", "pizza_id", "quantity"}, h.lineReader(prices))
}

// packed returns name.gz or name, whichever exists.
func packed(dir fs.FS, name string) (string, error) {
	for _, n := range []string{name + ".gz", name} {
		if _, err := fs.Stat(dir, n); err == nil {
			return n, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", SettingsError{fmt.Errorf("neither %s.gz nor %[1]s exists", name)}
}

func (h *history) orderReader(zone *time.Location) func(record) error {
	return func(r record) error {
		id, err := r.text(0, 50)
		if err != nil {
			return err
		}
		if _, twice := h.byID[id]; twice {
			return r.bad(0, "%q is there twice", id)
		}
		if _, err := time.Parse(time.DateOnly, r.field(1)); err != nil {
			return r.bad(1, "%q is not a date such as 2015-01-31", r.field(1))
		}
		if _, err := time.Parse(time.TimeOnly, r.field(2)); err != nil {
			return r.bad(2, "%q is not a time such as 11:38:36", r.field(2))
		}
		at, err := time.ParseInLocation(time.DateTime, r.field(1)+" "+r.field(2), zone)
		if err != nil {
			return r.bad(1, "%q with time %q: %v", r.field(1), r.field(2), err)
		}
		h.byID[id] = len(h.orders)
		h.orders = append(h.orders, pastOrder{id: id, date: r.field(1), time: r.field(2), createdAt: at})
		return nil
	}
}

func (h *history) lineReader(prices map[string]money.Amount) func(record) error {
	return func(r record) error {
		order, ok := h.byID[r.field(0)]
		if !ok {
			return r.bad(0, "%q is not among the orders", r.field(0))
		}
		price, ok := prices[r.field(1)]
		if !ok {
			return r.bad(1, "%q is not on the menu", r.field(1))
		}
		quantity, err := strconv.ParseInt(r.field(2), 10, 32)
		if err != nil || quantity < 1 {
			return r.bad(2, "%q is not a positive integer", r.field(2))
		}
		sum := price.Times(int(quantity))
		total := h.orders[order].total.Add(sum)
		if total.Cmp(money.Max) > 0 {
			return r.bad(2, "makes the order's total more than %s", money.Max)
		}
		h.orders[order].total = total
		h.lines = append(h.lines, pastLine{h.orders[order].id, r.field(1), int32(quantity), price})
		h.quantity += int(quantity)
		h.revenue = h.revenue.Add(sum)
		return nil
	}
}

// there reports whether all orders are stored, and fails if only some are.
func (h *history) there(ctx context.Context, tx pgx.Tx) (bool, error) {
	ids := make([]string, len(h.orders))
	for i, o := range h.orders {
		ids[i] = o.id
	}
	var n int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM orders WHERE order_id = ANY($1::text[])", ids).Scan(&n); err != nil {
		return false, err
	}
	if n > 0 && n < len(ids) {
		return false, fmt.Errorf("%w: %d of %d", ErrPartlyLoaded, n, len(ids))
	}
	return n == len(ids), nil
}

func (h *history) load(ctx context.Context, tx pgx.Tx, out io.Writer) (Loaded, error) {
	added, err := pastMembers().apply(ctx, tx)
	if err != nil {
		return Loaded{}, fmt.Errorf("add the members: %w", err)
	}
	if _, err := branches().apply(ctx, tx); err != nil {
		return Loaded{}, fmt.Errorf("add the branches: %w", err)
	}
	p := newProgress(out, "loading", "rows", len(h.orders)+len(h.lines))
	orders := []string{"order_id", "member_id", "bran_id", "date", "time", "created_at", "total_price"}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"orders"}, orders, pgx.CopyFromSlice(len(h.orders), func(i int) ([]any, error) {
		o := h.orders[i]
		return []any{o.id, memberOf(o.id), branchOf(o.id), o.date, o.time, o.createdAt, o.total}, p.add()
	}))
	if err != nil {
		return Loaded{}, fmt.Errorf("copy the orders: %w", err)
	}
	// The sequence numbers the lines in file order.
	lines := []string{"order_id", "pizza_id", "quantity", "unit_price"}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"order_detail"}, lines, pgx.CopyFromSlice(len(h.lines), func(i int) ([]any, error) {
		l := h.lines[i]
		return []any{l.order, l.pizza, l.quantity, l.price}, p.add()
	}))
	if err != nil {
		return Loaded{}, fmt.Errorf("copy the order lines: %w", err)
	}
	// The planner needs statistics before the first query.
	if _, err := tx.Exec(ctx, "ANALYZE orders, order_detail, member"); err != nil {
		return Loaded{}, err
	}
	return Loaded{len(h.orders), len(h.lines), int(added), h.quantity, h.revenue}, p.finish()
}

func memberID(i int) string { return fmt.Sprintf("member%04d", i+1) }

func pastMembers() addition {
	var ids, passwords, names []string
	for i := range historyMembers {
		ids = append(ids, memberID(i))
		passwords = append(passwords, unusablePassword)
		names = append(names, fmt.Sprintf("Member %04d", i+1))
	}
	return members(ids, passwords, names)
}

// spread returns a number in [0, 1) that depends only on its arguments.
func spread(what, order string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(what + order)) // never fails
	x := h.Sum64()
	// FNV leaves the high bits of short texts alike; MurmurHash3's finalizer
	// mixes them.
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return float64(x>>11) / (1 << 53)
}

// memberOf gives a few members many orders and most members few.
func memberOf(order string) string {
	u := spread("member", order)
	return memberID(int(u * u * historyMembers))
}

// branchOf gives the first branches more orders than the last.
func branchOf(order string) string {
	u := spread("branch", order)
	ids := branchIDs()
	return ids[int(u*u*float64(len(ids)))]
}
