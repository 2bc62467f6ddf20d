package migrations_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// backfill fills the history in Seoul, one member at a time.
func backfill(t *testing.T, d *migrationstest.Database) migrations.BackfillReport {
	t.Helper()
	b := migrations.Backfill{Zone: seoul(t), Progress: io.Discard, Batch: 1}
	r, err := migrations.FillHistory(t.Context(), d.URL("migrator"), b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const (
	noDate    = "the order's date is no date such as 2015-01-31"
	noTime    = "the order's time is no time such as 11:38:36"
	noPrice   = "the line's pizza has no price on the menu"
	noSuch    = "the order's time did not exist: clocks were put forward"
	inFuture  = "the order's date and time are in the future"
	forBefore = `
		INSERT INTO pizza VALUES ('nan', 'bbq_ckn', 'N', 'NaN');
		INSERT INTO orders VALUES (3, 'kim', NULL, '2025.08.03', '18:30'), (4, 'lee', NULL, 'today', '12:00:00'),
			(5, '', NULL, '20250805', '12:00:00.5');
		INSERT INTO order_detail VALUES (50, 3, 'nan', 1), (51, 3, 'bbq_ckn_s', 1), (52, 5, 'of_no_type', 3),
			(53, NULL, 'of_no_type', 1)`
)

// Rows from before the migrations, of both variants; what a service recorded stays.
func TestFillHistory(t *testing.T) {
	t.Parallel()
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := migrationstest.NewOldSystem(t, v.replace...)
			admin := connect(t, old.DSN)
			exec(t, connect(t, old.Monolith), forBefore)
			d := migrate(t, old.DSN)
			exec(t, connectAs(t, d, "lee"), `
				WITH placed AS (
					INSERT INTO orders (order_id, member_id, date, time, total_price, created_at)
					VALUES (9, 'lee', '2026-01-01', '12:00:00', 10, '2026-01-01 03:00Z') RETURNING order_id)
				INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price)
				SELECT order_id, 'hawaiian_m', 1, 10 FROM placed`)
			const state = `SELECT string_agg(concat_ws(' ', order_id, created_at AT TIME ZONE 'Asia/Seoul', total_price, (
					SELECT string_agg(concat(unit_price, CASE WHEN price_derived THEN '*' END), '+' ORDER BY order_detail_id)
					FROM order_detail d WHERE d.order_id = o.order_id)), E'\n' ORDER BY order_id) FROM orders o`
			before := value[string](t, admin, state)

			b := migrations.Backfill{Zone: seoul(t), DryRun: true}
			dry, err := migrations.FillHistory(t.Context(), d.URL("migrator"), b)
			if err != nil {
				t.Fatal(err)
			}
			// Line 17 has no pizza, 50 no price, and 53 no order.
			gaps := migrations.Gaps{Moments: 3, Prices: 4, Totals: 2}
			unfillable := map[string]int{noDate: 1, noTime: 1, noPrice: 2}
			want := migrations.BackfillReport{DryRun: true, Orders: 6, Left: gaps, Unfillable: unfillable}
			if diff := cmp.Diff(want, dry); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, value[string](t, admin, state)); diff != "" {
				t.Errorf("a dry run changes rows: %s", diff)
			}
			want.DryRun, want.Left, want.Filled = false, migrations.Gaps{}, gaps
			if diff := cmp.Diff(want, backfill(t, d)); diff != "" {
				t.Error(diff)
			}
			wantState := strings.Join([]string{
				"1 2025-08-01 12:00:00 38.75 12.75*+13.25*", "2 ", "3 2025-08-03 18:30:00 +12.75*", "4",
				"5 2025-08-05 12:00:00.5 0.30 0.10*", "9 2026-01-01 12:00:00 10.00 10.00",
			}, "\n")
			if diff := cmp.Diff(wantState, value[string](t, admin, state)); diff != "" {
				t.Error(diff)
			}
			want.Filled = migrations.Gaps{}
			if diff := cmp.Diff(want, backfill(t, d)); diff != "" {
				t.Errorf("another run: %s", diff)
			}
			exec(t, admin, "SET ROLE pizza_owner; UPDATE orders SET total_price = 1 WHERE order_id IN ('1', '9')")
			if got := backfill(t, d).Filled; got != (migrations.Gaps{Totals: 1}) {
				t.Errorf("a wrong total of derived prices, and one of the service: %+v", got)
			}
		})
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ zone, date, clock, want string }{
		{"Asia/Seoul", "2025-08-01", "12:00:00", "2025-08-01 03:00:00"},
		{"Asia/Seoul", "2025-8-1", "9:5", "2025-08-01 00:05:00"},
		{"Asia/Seoul", "2025/08/01", "00:00:00.123456", "2025-07-31 15:00:00.123456"},
		{"Asia/Seoul", "2025.08.01", "235959", "2025-08-01 14:59:59"},
		{"Asia/Seoul", "20250801", "12:00", "2025-08-01 03:00:00"},
		{"Asia/Seoul", "01/08/2025", "12:00:00", noDate},
		{"Asia/Seoul", "2025-02-30", "12:00:00", noDate},
		{"Asia/Seoul", "0001-01-01", "12:00:00", noDate},
		{"Asia/Seoul", "", "12:00:00", noDate},
		{"Asia/Seoul", "2025-08-01", "24:00:00", noTime},
		{"Asia/Seoul", "2025-08-01", "9시", noTime},
		{"Asia/Seoul", "9999-12-31", "12:00:00", inFuture},
		{"America/New_York", "2025-03-09", "01:59:59", "2025-03-09 06:59:59"},
		{"America/New_York", "2025-03-09", "02:30:00", noSuch},
		{"America/New_York", "2025-03-09", "03:00:00", "2025-03-09 07:00:00"},
		{"America/New_York", "2025-11-02", "00:59:59", "2025-11-02 04:59:59"},
		{"America/New_York", "2025-11-02", "01:30:00", "2025-11-02 05:30:00"}, // twice
		{"America/New_York", "2025-11-02", "02:00:00", "2025-11-02 07:00:00"},
		{"Australia/Lord_Howe", "2025-10-05", "02:15:00", noSuch}, // by half an hour
		{"Pacific/Kiritimati", "2025-08-01", "12:00:00", "2025-07-31 22:00:00"},
	} {
		got, err := migrations.MomentOf(test.date, test.clock, zone(t, test.zone))
		text := got.UTC().Format("2006-01-02 15:04:05.999999")
		if err != nil {
			text = err.Error()
		}
		if text != test.want {
			t.Errorf("%s %q %q: %s, want %s", test.zone, test.date, test.clock, text, test.want)
		}
	}
}

// yearOfOldSystem loads the real year into a database of the old system, as that wrote it.
func yearOfOldSystem(t *testing.T) (*migrationstest.Database, migrationstest.OldSystem) {
	t.Helper()
	source := migrationstest.NewSeeded(t)
	h := migrations.History{Dir: "seed/history", Zone: seoul(t), Progress: io.Discard}
	if _, err := migrations.SeedHistory(t.Context(), source.URL("migrator"), h); err != nil {
		t.Fatal(err)
	}
	old := migrationstest.NewOldSystem(t)
	from, to := connect(t, source.URL("")), connect(t, old.Monolith)
	exec(t, to, "TRUNCATE pizza_types, pizza, branch, orders, order_detail")
	for _, table := range []struct{ name, columns string }{
		{"pizza_types", "*"},
		{"pizza", "*"},
		{"branch", "*"},
		{"orders", "order_id, member_id, bran_id, date, time"},
		{"order_detail", "order_detail_id, order_id, pizza_id, quantity"},
	} {
		var rows bytes.Buffer
		query := "SELECT " + table.columns + " FROM " + table.name
		if _, err := from.PgConn().CopyTo(t.Context(), &rows, "COPY ("+query+") TO STDOUT"); err != nil {
			t.Fatal(err)
		}
		if _, err := to.PgConn().CopyFrom(t.Context(), &rows, "COPY "+table.name+" FROM STDIN"); err != nil {
			t.Fatal(err)
		}
	}
	leave(t, to, connect(t, old.DSN))
	return migrate(t, old.DSN), old
}

// The real year, as the old system wrote it, has the revenue of its menu to the cent, and
// the same moments and totals as if the services had recorded it.
func TestFillHistoryOfTheYear(t *testing.T) {
	t.Parallel()
	d, _ := yearOfOldSystem(t)
	var progress bytes.Buffer
	b := migrations.Backfill{Zone: seoul(t), Progress: &progress}
	report, err := migrations.FillHistory(t.Context(), d.URL("migrator"), b)
	if err != nil {
		t.Fatal(err)
	}
	want := migrations.BackfillReport{
		Orders: 21350, Filled: migrations.Gaps{Moments: 21350, Prices: 48620, Totals: 21350}, Unfillable: map[string]int{},
	}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(progress.String(), "filling: 100%  21350/21350 orders, ") {
		t.Errorf("progress %q", &progress)
	}
	admin := connect(t, d.URL(""))
	for _, fact := range []string{
		"SELECT sum(total_price) = 817860.05 FROM orders",
		"SELECT sum(quantity * unit_price) = 817860.05 AND bool_and(price_derived) FROM order_detail",
		"SELECT bool_and((created_at AT TIME ZONE 'Asia/Seoul')::text = date || ' ' || time) FROM orders",
	} {
		if !value[bool](t, admin, fact) {
			t.Errorf("not so: %s", fact)
		}
	}
}

// interrupter cancels a run with its nth line of progress.
type interrupter struct {
	lines  int
	cancel context.CancelFunc
}

func (i *interrupter) Write(p []byte) (int, error) {
	if i.lines--; i.lines == 0 {
		i.cancel()
	}
	return len(p), nil
}

// A run that ends after any batch is continued by the next one, and the list of a member
// is in order in between.
func TestFillHistoryEndsAfterEachBatch(t *testing.T) {
	t.Parallel()
	d, _ := takenOver(t)
	admin := connect(t, d.URL(""))
	exec(t, admin, `
		INSERT INTO orders (order_id, member_id, date, time, created_at)
		SELECT 'old' || i, 'member' || i % 4, '2025-01-' || lpad((1 + i * 7 % 28)::text, 2, '0'), '12:00:00', NULL
		FROM generate_series(1, 18) i`)
	const missing = "SELECT count(*) FROM orders WHERE created_at IS NULL"
	left, runs := value[int](t, admin, missing), 0
	for ; ; runs++ {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := migrations.FillHistory(ctx, d.URL("migrator"),
			migrations.Backfill{Zone: seoul(t), Progress: &interrupter{runs*4 + 1, cancel}, Batch: 1})
		cancel()
		if n := value[int](t, admin, missing); n > left {
			t.Errorf("run %d: %d moments are missing, after %d", runs, n, left)
		} else {
			left = n
		}
		if n := value[int](t, admin, `SELECT count(*) FROM (
			SELECT date, lag(date) OVER (PARTITION BY member_id ORDER BY created_at DESC NULLS LAST, date DESC) AS newer
			FROM orders WHERE order_id LIKE 'old%') o WHERE date > newer`); n != 0 {
			t.Errorf("run %d: %d orders are listed behind older ones", runs, n)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if left != 1 || runs < 3 {
		t.Errorf("after %d runs, %d moments are missing", runs, left)
	}
}

// Rows that somebody holds are left for another run, and nobody waits for them. Two runs
// at once are refused.
func TestFillHistorySkipsLockedRows(t *testing.T) {
	t.Parallel()
	d, old := takenOver(t)
	monolith := connect(t, old.Monolith)
	exec(t, monolith, `BEGIN; SELECT FROM orders WHERE order_id = '1' FOR UPDATE;
		SELECT FROM order_detail WHERE order_detail_id = 41 FOR UPDATE`)
	left := migrations.Gaps{Moments: 1, Prices: 1, Totals: 1}
	if got := backfill(t, d); got.Filled != (migrations.Gaps{Prices: 1}) || got.Left != left {
		t.Errorf("%+v", got)
	}
	exec(t, monolith, "COMMIT")
	if got := backfill(t, d); got.Filled != left || got.Left != (migrations.Gaps{}) {
		t.Errorf("%+v", got)
	}
	exec(t, monolith, fmt.Sprintf("SELECT pg_advisory_lock(%d)", 0x70697a7a61_13))
	_, err := migrations.FillHistory(t.Context(), d.URL("migrator"), migrations.Backfill{Zone: seoul(t)})
	if err == nil || !strings.Contains(err.Error(), "another `migrate backfill` is running") {
		t.Error(err)
	}
}

// A run waits while other clients keep the server busy, if it can see that.
func TestFillHistoryWaitsForABusyServer(t *testing.T) {
	t.Parallel()
	d, _ := takenOver(t)
	holder := connect(t, d.URL(""))
	exec(t, holder, `CREATE ROLE migrator_with_stats LOGIN NOINHERIT;
		GRANT pizza_owner, pg_read_all_stats TO migrator_with_stats`)
	exec(t, holder, "ALTER ROLE migrator_with_stats PASSWORD '"+migrationstest.Passwords().Migrator+"'")
	t.Cleanup(func() { _, _ = holder.Exec(context.Background(), "DROP ROLE migrator_with_stats") })
	exec(t, holder, "SELECT pg_advisory_lock(1)")
	const busy = 9
	ended := make(chan error, busy)
	for range busy {
		conn := connect(t, d.URL(""))
		go func() {
			_, err := conn.Exec(context.Background(), "SELECT pg_advisory_lock_shared(1)")
			ended <- err
		}()
	}
	for value[int](t, holder, `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`) < busy {
		time.Sleep(time.Millisecond)
	}
	var warnings []string
	ctx := migrations.WithWarnings(t.Context(), func(text string) {
		warnings = append(warnings, text)
		if value[int](t, holder, "SELECT count(created_at) FROM orders") != 0 {
			t.Error("filled meanwhile")
		}
		exec(t, holder, "SELECT pg_advisory_unlock(1)")
	})
	b := migrations.Backfill{Zone: seoul(t), Progress: io.Discard}
	if _, err := migrations.FillHistory(ctx, d.URL("migrator_with_stats"), b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"waiting: 9 statements are running"}, warnings); diff != "" {
		t.Error(diff)
	}
	for range busy {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	warnings = nil
	ctx = migrations.WithWarnings(t.Context(), func(text string) { warnings = append(warnings, text) })
	if _, err := migrations.FillHistory(ctx, d.URL("migrator"), b); err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "a superuser can GRANT pg_read_all_stats TO \"migrator\"") {
		t.Errorf("warnings %q", warnings)
	}
}
