package migrations

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Snapshot describes the orders of the old system at one moment, by their day: the text
// of their date. Lines are of the day of their order; those without any are of noDay.
type Snapshot struct {
	TakenAt time.Time      `json:"taken_at"`
	Days    map[string]Day `json:"days"`
}

// Day counts the orders of a day, with a checksum of each row.
type Day struct {
	Orders int   `json:"orders"`
	Lines  int   `json:"lines"`
	Pizzas int64 `json:"pizzas"`
	// OrderSums and LineSums are the rows' checksums in their order, of which a day that
	// has grown still contains all of the snapshot's. Each has sumSize bytes.
	OrderSums []byte `json:"order_sums"`
	LineSums  []byte `json:"line_sums"`
}

const (
	noDay   = "no order"
	sumSize = 8
)

// TakeSnapshot reads the columns that the old system knows, in one read-only transaction,
// so that it works before roles and migrations as well as after. dsn names a role that
// can read the tables.
func TakeSnapshot(ctx context.Context, dsn string) (s Snapshot, err error) {
	c, err := parse(ctx, dsn)
	if err != nil {
		return Snapshot{}, err
	}
	conn, err := dial(ctx, c)
	if err != nil {
		return Snapshot{}, explain(err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		s.Days = map[string]Day{}
		if err := tx.QueryRow(ctx, "SELECT now()").Scan(&s.TakenAt); err != nil {
			return err
		}
		err := s.read(ctx, tx, `
			SELECT coalesce(date::text, ''), 0, sha256(convert_to(ROW(order_id, member_id, bran_id, date, time)::text, 'UTF8'))
			FROM orders`,
			func(d *Day, _ int64, sum []byte) { d.Orders++; d.OrderSums = append(d.OrderSums, sum...) })
		if err != nil {
			return err
		}
		return s.read(ctx, tx, `
			SELECT CASE WHEN o.order_id IS NULL THEN $1 ELSE coalesce(date::text, '') END, coalesce(quantity, 0),
				sha256(convert_to(ROW(order_detail_id, d.order_id, pizza_id, quantity)::text, 'UTF8'))
			FROM order_detail d LEFT JOIN orders o ON o.order_id = d.order_id`,
			func(d *Day, pizzas int64, sum []byte) {
				d.Lines++
				d.Pizzas += pizzas
				d.LineSums = append(d.LineSums, sum...)
			}, noDay)
	})
	if err != nil {
		return Snapshot{}, explain(err)
	}
	for day, d := range s.Days {
		d.OrderSums, d.LineSums = sorted(d.OrderSums), sorted(d.LineSums)
		s.Days[day] = d
	}
	return s, nil
}

// read adds each row of a query to its day.
func (s Snapshot) read(ctx context.Context, tx pgx.Tx, query string, add func(*Day, int64, []byte), args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	var day string
	var pizzas int64
	var sum []byte
	_, err = pgx.ForEachRow(rows, []any{&day, &pizzas, &sum}, func() error {
		d := s.Days[day]
		add(&d, pizzas, sum[:sumSize])
		s.Days[day] = d
		return nil
	})
	return err
}

// sorted returns checksums in their order.
func sorted(sums []byte) []byte {
	list := slices.SortedFunc(slices.Chunk(sums, sumSize), bytes.Compare)
	return slices.Concat(list...)
}

// DayDiff is a day whose rows differ between two snapshots.
type DayDiff struct {
	Day    string   `json:"day"`
	Before DayCount `json:"before"`
	After  DayCount `json:"after"`
	// MissingOrders and MissingLines count rows that are gone or changed.
	MissingOrders int `json:"missing_orders"`
	MissingLines  int `json:"missing_lines"`
	// AddedOrders and AddedLines count rows that are new, or a changed row's new form.
	AddedOrders int `json:"added_orders"`
	AddedLines  int `json:"added_lines"`
}

// DayCount counts the orders of a day.
type DayCount struct {
	Orders int   `json:"orders"`
	Lines  int   `json:"lines"`
	Pizzas int64 `json:"pizzas"`
}

// Missing reports whether the day lacks rows.
func (d DayDiff) Missing() bool { return d.MissingOrders > 0 || d.MissingLines > 0 }

// Compare returns the days that differ between s and a later snapshot, in their order.
func (s Snapshot) Compare(later Snapshot) []DayDiff {
	days := maps.Clone(s.Days)
	maps.Copy(days, later.Days)
	var diffs []DayDiff
	for _, day := range slices.Sorted(maps.Keys(days)) {
		before, after := s.Days[day], later.Days[day]
		d := DayDiff{
			Day:    day,
			Before: DayCount{before.Orders, before.Lines, before.Pizzas},
			After:  DayCount{after.Orders, after.Lines, after.Pizzas},
		}
		d.MissingOrders, d.AddedOrders = difference(before.OrderSums, after.OrderSums)
		d.MissingLines, d.AddedLines = difference(before.LineSums, after.LineSums)
		if d.Missing() || d.AddedOrders > 0 || d.AddedLines > 0 {
			diffs = append(diffs, d)
		}
	}
	return diffs
}

// difference counts the checksums that only one of two sorted lists has.
func difference(before, after []byte) (missing, added int) {
	for len(before) > 0 && len(after) > 0 {
		switch bytes.Compare(before[:sumSize], after[:sumSize]) {
		case -1:
			missing++
			before = before[sumSize:]
		case 1:
			added++
			after = after[sumSize:]
		default:
			before, after = before[sumSize:], after[sumSize:]
		}
	}
	return missing + len(before)/sumSize, added + len(after)/sumSize
}
