package migrations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
)

// backfillBatch is the number of orders per transaction, unless a member has more:
// some hundredths of a second, for which a writer of one of them may have to wait.
const backfillBatch = 1000

var errBackfillBusy = errors.New("another `migrate backfill` is running on this database")

// Backfill configures how the history of the old system is filled.
type Backfill struct {
	Zone     *time.Location // the shop's time zone, which applies to all dates and times
	DryRun   bool           // only count
	Progress io.Writer      // a bar on a terminal, otherwise lines
	Batch    int            // orders per transaction; 0 is backfillBatch
}

// BackfillReport describes what a run filled, and what is missing afterwards.
type BackfillReport struct {
	DryRun bool `json:"dry_run"`
	Orders int  `json:"orders"`
	Filled Gaps `json:"filled"`
	// Left counts what another run would fill: in a dry run, everything; after another
	// run, rows that somebody had locked, or added since.
	Left Gaps `json:"left"`
	// Unfillable counts orders and lines that stay as they are, by reason.
	Unfillable map[string]int `json:"unfillable"`
}

// Gaps counts values that are missing and can be derived.
type Gaps struct {
	Moments int `json:"created_at"`
	Prices  int `json:"unit_price"`
	Totals  int `json:"total_price"`
}

// FillHistory fills in what the old system's orders lack: created_at by their date and
// time, unit_price by today's menu, marked as derived, and total_price where all lines
// have a price. It corrects totals that a trigger missed. What a service recorded stays.
//
// Both systems may write meanwhile. Each batch is a transaction of its own that skips
// locked rows, so that it waits for nobody; the next run continues where an interrupted
// one stopped. Before each batch, it waits for replicas and a busy server to recover
// (load), and pauses for as long as the last batch took. All orders of a member are
// filled at once: their list, which begins with those that have a moment, is always in
// order. The report covers the work done even if an error is returned. dsn names the
// role migrator, or a superuser.
func FillHistory(ctx context.Context, dsn string, b Backfill) (report BackfillReport, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return BackfillReport{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	report.DryRun = b.DryRun
	if err := report.count(ctx, conn, b.Zone); err != nil || b.DryRun {
		return report, explain(err)
	}
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", backfillLock).Scan(&mine); err != nil {
		return report, err
	}
	if !mine {
		return report, errBackfillBusy
	}
	if b.Batch == 0 {
		b.Batch = backfillBatch
	}
	if err := report.fillAll(ctx, conn, dsn, b); err != nil {
		return report, fmt.Errorf("fill the history: %w", explain(err))
	}
	return report, report.count(ctx, conn, b.Zone)
}

// noMenuPrice is why a line stays without a price.
const noMenuPrice = "the line's pizza has no price on the menu"

// count counts what is missing.
func (r *BackfillReport) count(ctx context.Context, conn *pgx.Conn, zone *time.Location) error {
	r.Left, r.Unfillable = Gaps{}, map[string]int{}
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&r.Orders); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "SELECT coalesce(date::text, ''), coalesce(time::text, '') FROM orders WHERE created_at IS NULL")
	if err != nil {
		return err
	}
	var date, clock string
	now := time.Now()
	_, err = pgx.ForEachRow(rows, []any{&date, &clock}, func() error {
		if _, err := momentOf(date, clock, zone, now); err != nil {
			r.Unfillable[err.Error()]++
		} else {
			r.Left.Moments++
		}
		return nil
	})
	if err != nil {
		return err
	}
	var priceless int
	err = conn.QueryRow(ctx, `
		WITH line AS (
			SELECT order_id, unit_price IS NULL AS missing, unit_price IS NULL OR price_derived AS derived,
				coalesce(quantity, 0) * coalesce(unit_price, menu_price(price)) AS amount
			FROM orders JOIN order_detail USING (order_id) LEFT JOIN pizza USING (pizza_id)
		), total AS (
			SELECT order_id, CASE WHEN bool_and(amount IS NOT NULL) AND sum(amount) BETWEEN 0 AND 99999999.99
				THEN sum(amount) END AS amount
			FROM line GROUP BY order_id HAVING bool_or(derived)
		)
		SELECT count(*) FILTER (WHERE missing AND amount IS NOT NULL), count(*) FILTER (WHERE missing AND amount IS NULL),
			(SELECT count(*) FROM orders JOIN total USING (order_id) WHERE total_price IS DISTINCT FROM amount)
		FROM line`).Scan(&r.Left.Prices, &priceless, &r.Left.Totals)
	if priceless > 0 {
		r.Unfillable[noMenuPrice] = priceless
	}
	return err
}

// fillAll visits the orders member by member.
func (r *BackfillReport) fillAll(ctx context.Context, conn *pgx.Conn, dsn string, b Backfill) error {
	load, err := watchLoad(ctx, dsn)
	if err != nil {
		return err
	}
	defer load.close(ctx)
	p := newProgress(b.Progress, "filling", "orders", r.Orders)
	// The first batch includes the empty id, which detached orders have; the last one has
	// orders without any id, where the old system allows that.
	for after, above := "", ">="; ; above = ">" {
		var last *string
		err := conn.QueryRow(ctx, `SELECT max(member_id) FROM (
				SELECT member_id FROM orders WHERE member_id `+above+` $1 ORDER BY member_id LIMIT $2
			) AS next`, after, b.Batch).Scan(&last)
		if err != nil {
			return err
		}
		which, args := "member_id "+above+" $1 AND member_id <= $2", []any{after, last}
		if last == nil {
			which, args = "member_id IS NULL", nil
		}
		if err := load.wait(ctx); err != nil {
			return err
		}
		began := time.Now()
		visited, err := r.fill(ctx, conn, b.Zone, which, args)
		if err != nil {
			return err
		}
		took := time.Since(began)
		for range visited {
			if err := p.add(); err != nil {
				return err
			}
		}
		if last == nil {
			return p.finish()
		}
		after = *last
		if err := pause(ctx, took); err != nil {
			return err
		}
	}
}

// fill fills one batch of orders, and returns their number.
func (r *BackfillReport) fill(
	ctx context.Context, conn *pgx.Conn, zone *time.Location, which string, args []any,
) (visited int, err error) {
	var filled Gaps
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM orders WHERE "+which, args...).Scan(&visited); err != nil {
			return err
		}
		if filled.Moments, err = fillMoments(ctx, tx, zone, which, args); err != nil {
			return err
		}
		prices, err := tx.Exec(ctx, `
			WITH mine AS (
				SELECT order_detail_id, menu_price(price) AS price
				FROM orders JOIN order_detail d USING (order_id) JOIN pizza USING (pizza_id)
				WHERE `+which+` AND unit_price IS NULL AND menu_price(price) IS NOT NULL
				FOR NO KEY UPDATE OF d SKIP LOCKED
			)
			UPDATE order_detail d SET unit_price = mine.price, price_derived = true
			FROM mine WHERE d.order_detail_id = mine.order_detail_id`, args...)
		if err != nil {
			return err
		}
		totals, err := tx.Exec(ctx, `
			WITH mine AS (
				SELECT order_id FROM orders o
				WHERE `+which+` AND EXISTS (SELECT FROM order_detail d WHERE d.order_id = o.order_id AND price_derived)
					AND total_price IS DISTINCT FROM lines_total(order_id)
				FOR NO KEY UPDATE SKIP LOCKED
			)
			UPDATE orders o SET total_price = lines_total(o.order_id)
			FROM mine WHERE o.order_id = mine.order_id`, args...)
		filled.Prices, filled.Totals = int(prices.RowsAffected()), int(totals.RowsAffected())
		return err
	})
	if err == nil {
		r.Filled.Moments += filled.Moments
		r.Filled.Prices += filled.Prices
		r.Filled.Totals += filled.Totals
	}
	return visited, err
}

func fillMoments(ctx context.Context, tx pgx.Tx, zone *time.Location, which string, args []any) (int, error) {
	rows, err := tx.Query(ctx, `
		SELECT order_id::text, coalesce(date::text, ''), coalesce(time::text, '') FROM orders
		WHERE `+which+` AND created_at IS NULL FOR NO KEY UPDATE SKIP LOCKED`, args...)
	if err != nil {
		return 0, err
	}
	var ids []string
	var moments []time.Time
	var id, date, clock string
	now := time.Now()
	_, err = pgx.ForEachRow(rows, []any{&id, &date, &clock}, func() error {
		if at, err := momentOf(date, clock, zone, now); err == nil {
			ids, moments = append(ids, id), append(moments, at)
		}
		return nil
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	tag, err := tx.Exec(ctx, `
		UPDATE orders o SET created_at = mine.at
		FROM unnest($1::text[], $2::timestamptz[]) AS mine (id, at)
		WHERE o.order_id = order_key(mine.id)`, ids, moments)
	return int(tag.RowsAffected()), err
}

// Reasons why a text is no moment.
var (
	errNoDate   = errors.New("the order's date is no date such as 2015-01-31")
	errNoTime   = errors.New("the order's time is no time such as 11:38:36")
	errSkipped  = errors.New("the order's time did not exist: clocks were put forward")
	errInFuture = errors.New("the order's date and time are in the future")
)

// momentOf reads a date and a time of the old system. Formats whose day and month could be
// mistaken for each other are not read. A time that occurred twice, when clocks were put
// back, is the first of the two.
func momentOf(date, clock string, zone *time.Location, now time.Time) (time.Time, error) {
	day, ok := parseAny(date, "2006-1-2", "2006/1/2", "2006.1.2", "20060102")
	if !ok || day.Year() < 1970 {
		return time.Time{}, errNoDate
	}
	c, ok := parseAny(clock, "15:4:5", "15:4", "150405") // with any fraction of a second
	if !ok {
		return time.Time{}, errNoTime
	}
	wall := day.Add(time.Duration(c.Hour())*time.Hour + time.Duration(c.Minute())*time.Minute +
		time.Duration(c.Second())*time.Second + time.Duration(c.Nanosecond()))
	// The zone's offset a day before and after has both readings, whichever of them exist.
	_, before := wall.AddDate(0, 0, -1).In(zone).Zone()
	_, after := wall.AddDate(0, 0, 1).In(zone).Zone()
	for _, offset := range []int{max(before, after), min(before, after)} {
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if _, actual := at.Zone(); actual != offset {
			continue
		}
		if at.After(now) {
			return time.Time{}, errInFuture
		}
		return at, nil
	}
	return time.Time{}, errSkipped
}

// parseAny reads text in the first layout that it has, as UTC.
func parseAny(text string, layouts ...string) (time.Time, bool) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
