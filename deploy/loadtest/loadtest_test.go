package loadtest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestRatios(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		row    Row
		want   []float64
		median float64
		meets  bool
	}{
		"each_round_by_itself":       {Row{Unit: "/s", Ours: []float64{50, 10, 90}, Yardstick: []float64{100, 40, 100}, Target: 0.5}, []float64{0.5, 0.25, 0.9}, 0.5, true},
		"rate_below_the_target":      {Row{Unit: "/s", Ours: []float64{49}, Yardstick: []float64{100}, Target: 0.5}, []float64{0.49}, 0.49, false},
		"time_above_the_target":      {Row{Unit: "ms", Ours: []float64{31}, Yardstick: []float64{10}, Target: 3}, []float64{3.1}, 3.1, false},
		"time_below_the_target":      {Row{Unit: "ms", Ours: []float64{29}, Yardstick: []float64{10}, Target: 3}, []float64{2.9}, 2.9, true},
		"middle_of_an_even_number":   {Row{Unit: "/s", Ours: []float64{1, 3}, Yardstick: []float64{1, 1}, Target: 2}, []float64{1, 3}, 2, true},
		"nothing_without_yardstick":  {Row{Unit: "/s", Ours: []float64{1, 3}}, []float64{}, math.NaN(), false},
		"measurements_stay_in_order": {Row{Unit: "/s", Ours: []float64{3, 1, 2}, Yardstick: []float64{1, 1, 1}, Target: 2}, []float64{3, 1, 2}, 2, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.row.cells() // must not sort the measurements
			got := median(tc.row.ratios())
			if got != tc.median && !(math.IsNaN(got) && math.IsNaN(tc.median)) {
				t.Errorf("median = %v; want %v", got, tc.median)
			}
			if diff := cmp.Diff(tc.want, tc.row.ratios()); diff != "" {
				t.Errorf("ratios (-want +got):\n%s", diff)
			}
			if tc.row.meets() != tc.meets {
				t.Errorf("meets() = %v", tc.row.meets())
			}
		})
	}
}

// sampleReport has the longest cells that a run writes.
func sampleReport() *Report {
	six := []float64{12345, 12346, 12347, 12348, 12349, 12350}
	return &Report{
		Date:    time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Machine: Machine{System: "linux/amd64", CPU: "A processor", Cores: 2, Go: "go1.26.8", PostgreSQL: "15.18", Load: 0.1},
		Rounds:  6, Round: "2s",
		Rows: []Row{
			{Path: "POST /menu/get_pizza_id/", Unit: "/s", Ours: six, Against: "echo", Yardstick: []float64{20000, 20000, 20000, 20000, 20000, 20000}, Target: 0.7},
			{Path: overloaded, Unit: "/s", Ours: six, Against: ordering, Yardstick: six, Target: 0.8},
			{Path: "memory loaded login", Unit: "MiB", Ours: []float64{123.4}, Against: "echo", Yardstick: []float64{10}, Target: 4},
			{Path: "visits of the real year", Unit: "/s", Ours: []float64{1}},
		},
		Costs:     []Cost{{Path: "POST /order/ with a key", Services: 250 * time.Microsecond, Database: 1500 * time.Microsecond, WAL: 2345}},
		Latencies: []Latency{{Path: "POST /menu/get_pizza_id/", Rate: 12345, Count: 123456, P50: 12345 * time.Millisecond, P99: 12345 * time.Millisecond, Max: 12345 * time.Millisecond}},
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := sampleReport().Write(&out); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "\n\n")
	const want = `path                      ours       yardstick               ratio       target
POST /menu/get_pizza_id/  12348/s    echo          20000/s   0.62   ±0%  ≥0.70 !
orders at 3× the load     12348/s    POST /order/  12348/s   1.00   ±0%  ≥0.80
memory loaded login       123.4 MiB  echo          10.0 MiB  12.34  ±∞   ≤4.00 !
visits of the real year   1/s

latency by schedule       rate     answers  p50         p99         max
POST /menu/get_pizza_id/  12345/s  123456   12345.0 ms  12345.0 ms  12345.0 ms

cost of a request        services  postgresql  WAL
POST /order/ with a key  0.25 ms   1.50 ms     2345 B
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tables (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(line) > 81 { // with its end
			t.Errorf("more than 80 columns: %s", line)
		}
	}
}

// TestFiles checks that a report survives its JSON file, and that the page has all tables.
func TestFiles(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new")
	r := sampleReport()
	if err := Save(r, filepath.Join(folder, "bench.json"), filepath.Join(folder, "bench.html")); err != nil {
		t.Fatal(err)
	}
	got, err := ReadJSON(filepath.Join(folder, "bench.json"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got, cmp.AllowUnexported(Report{})); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for i := range uint64(3) {
		r.answers = append(r.answers, vegeta.Result{Attack: "GET /menu/", Seq: 2 - i, Timestamp: began.Add(time.Duration(2-i) * time.Second), Latency: time.Second})
	}
	if err := r.WritePage(filepath.Join(folder, "bench.html")); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(folder, "bench.html"))
	for _, want := range []string{"POST /menu/get_pizza_id/  12348/s", "GET /menu/: OK", "</html>"} {
		if err != nil || !strings.Contains(string(page), want) {
			t.Errorf("the page has no %q: %v", want, err)
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no_json": "path  ours", "no_measurements": `{"rows": []}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "base.json")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if r, err := ReadJSON(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("ReadJSON() = %v, %v; want an error with the path", r, err)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	low, high := []float64{10, 11, 12, 13, 14, 15}, []float64{20, 21, 22, 23, 24, 25}
	tests := map[string]struct {
		unit          string
		before, after []float64
		verdict       string
		worse         bool
	}{
		"slower":               {"/s", high, low, "worse", true},
		"faster":               {"/s", low, high, "better", false},
		"more_memory":          {"MiB", low, high, "worse", true},
		"less_memory":          {"MiB", high, low, "better", false},
		"the_same":             {"/s", low, low, "", false},
		"too_few_measurements": {"/s", high[:2], low[:2], "", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ones := []float64{1, 1, 1, 1, 1, 1}
			report := func(ours []float64) *Report {
				return &Report{Rows: []Row{
					{Path: "a path", Unit: tc.unit, Against: "yardstick", Ours: ours, Yardstick: ones},
					{Path: "no yardstick", Unit: tc.unit, Ours: ours},
				}}
			}
			after := report(tc.after)
			after.Rows = append(after.Rows, Row{Path: "a new path", Unit: "/s", Against: "yardstick", Ours: ones, Yardstick: ones})
			var out strings.Builder
			worse, err := Compare(&out, report(tc.before), after)
			if err != nil || worse != tc.worse {
				t.Errorf("Compare() = %v, %v", worse, err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 2 || strings.HasSuffix(lines[1], tc.verdict) == strings.HasSuffix(lines[1], ")") && tc.verdict != "" {
				t.Errorf("want one line that ends with %q:\n%s", tc.verdict, &out)
			}
		})
	}
}

func TestReadPgbench(t *testing.T) {
	t.Parallel()
	const report = "number of failed transactions: 0 (0.000%)\nlatency average = 1.2 ms\ntps = 2345.678901 (without initial connection time)\n"
	if got, err := readPgbench(report); err != nil || got != 2345.678901 {
		t.Errorf("readPgbench() = %v, %v", got, err)
	}
	for _, bad := range []string{"", strings.Replace(report, ": 0 ", ": 3 ", 1)} {
		if got, err := readPgbench(bad); err == nil {
			t.Errorf("readPgbench(%q) = %v", bad, got)
		}
	}
}

func TestReadMemory(t *testing.T) {
	t.Parallel()
	if got, err := readMemory("Name:\tmenu\nVmHWM:\t  999 kB\nVmRSS:\t    2560 kB\nThreads:\t9\n"); err != nil || got != 2.5 {
		t.Errorf("readMemory() = %v, %v", got, err)
	}
	if got, err := readMemory("Name:\tmenu\n"); err == nil {
		t.Errorf("readMemory() = %v without VmRSS", got)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 1 0 99 100 200"
	got, err := parseStat(stat)
	want := process{parent: 7, used: 2 * time.Second, exited: 500 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("parseStat() = %+v, %v; want %+v", got, err, want)
	}
	for _, wrong := range []string{"", "42 (a) S 7", strings.Replace(stat, " 150 ", " x ", 1)} {
		if _, err := parseStat(wrong); err == nil {
			t.Errorf("parseStat(%q) is accepted", wrong)
		}
	}
}

// TestFamily checks that the work of a connection counts.
func TestFamily(t *testing.T) {
	t.Parallel()
	if !hasProc() {
		t.Log("the system shows no processor times, and a run reports no costs")
		return
	}
	d := migrationstest.New(t)
	worker, err := pgx.Connect(t.Context(), d.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	var backend int
	if err := worker.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		t.Fatal(err)
	}
	before, err := family(backend)
	if err != nil {
		t.Fatal(err)
	}
	var used time.Duration
	for used < 100*time.Millisecond {
		if _, err := worker.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 1000000)"); err != nil {
			t.Fatal(err)
		}
		after, err := family(backend)
		if err != nil {
			t.Fatal(err)
		}
		used = after - before
	}
}

// TestSinceDue checks that an answer counts from when its request was due, and not from
// when a busy machine came to send it.
func TestSinceDue(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	sent := vegeta.Result{Timestamp: due.Add(3 * time.Second), Latency: time.Second}
	want := vegeta.Result{Timestamp: due, Latency: 4 * time.Second}
	if diff := cmp.Diff(want, sinceDue(sent, due)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	s := constant(4, time.Second)
	const quarter = time.Second / 4
	if diff := cmp.Diff(schedule{0, quarter, 2 * quarter, 3 * quarter}, s); diff != "" {
		t.Errorf("constant (-want +got):\n%s", diff)
	}
	tests := map[string]struct {
		elapsed time.Duration
		sent    uint64
		wait    time.Duration
		stop    bool
	}{
		"waits_until_due":         {quarter / 2, 1, quarter / 2, false},
		"does_not_wait_when_late": {3 * quarter, 1, -2 * quarter, false},
		"ends":                    {3 * quarter, 4, 0, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if wait, stop := s.Pace(tc.elapsed, tc.sent); wait != tc.wait || stop != tc.stop {
				t.Errorf("Pace() = %v, %v; want %v, %v", wait, stop, tc.wait, tc.stop)
			}
		})
	}
}

// TestAttacks checks that an open attack sends all that is due, and that a closed one
// takes no refusal for an answer.
func TestAttacks(t *testing.T) {
	t.Parallel()
	var count atomic.Int64
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if r.URL.Path == "/refused" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(web.Close)
	s := &system{client: newClient()}
	t.Cleanup(s.client.CloseIdleConnections)
	answers, err := s.drive(t.Context(), "test", inTurn(get(web.URL), get(web.URL+"/refused")), constant(1e6, 100*time.Microsecond))
	if err != nil || len(answers) != 100 || count.Load() != 100 {
		t.Errorf("%d answers to %d requests, %v; want 100", len(answers), count.Load(), err)
	}
	refused := 0
	for _, a := range answers {
		if isRefused(a) {
			refused++
		}
	}
	if refused != 50 {
		t.Errorf("%d of 100 refused; want 50", refused)
	}
	if rate, err := s.saturate(t.Context(), inTurn(get(web.URL)), time.Millisecond); err != nil || rate <= 0 {
		t.Errorf("saturate() = %v, %v", rate, err)
	}
	if _, err := s.saturate(t.Context(), inTurn(get(web.URL+"/refused")), time.Minute); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("saturate() of refusals: %v", err)
	}
	if _, err := s.do(t.Context(), get(web.URL+"/refused")); err == nil {
		t.Error("do() takes a refusal for an answer")
	}
}

func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	r := request{method: http.MethodPost, url: "http://order", body: "{}", token: "a.b.c", key: true}
	first, second := r.target(), r.target()
	if first.Header.Get("Idempotency-Key") == second.Header.Get("Idempotency-Key") {
		t.Error("two requests have the same key")
	}
	first.Header.Del("Idempotency-Key")
	want := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer a.b.c"}}
	if diff := cmp.Diff(want, first.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	year, err := readHistory(history(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, b := range year {
		lines += len(b.lines)
	}
	day := busiestDay(year)
	if len(year) != 21350 || lines != 48620 || len(day) != 115 || day[0].placed.Format(time.DateOnly) != "2015-11-27" {
		t.Errorf("%d orders with %d lines; the busiest day is %v with %d", len(year), lines, day[0].placed, len(day))
	}
	if _, err := readHistory(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("readHistory() of an empty folder: %v", err)
	}
}

// TestVisits checks the requests of customers: the menu, each pizza, the order, and the
// own orders, from the first to the last hour of a day.
func TestVisits(t *testing.T) {
	t.Parallel()
	at := func(clock string) time.Time {
		placed, err := time.Parse(time.DateTime, "2015-11-27 "+clock)
		if err != nil {
			t.Fatal(err)
		}
		return placed
	}
	day := []basket{
		{at("11:30:00"), []line{{"a_s", 1}}},
		{at("12:30:00"), []line{{"a_s", 2}, {"b_m", 3}}},
	}
	pizzas := map[string]pizza{"a_s": {"a_s", "A", "S"}, "b_m": {"b_m", "B", "M"}}
	got, due := replayOf(day, 2*time.Minute, func(b basket, n int) []request {
		r := []request{get("/menu/")}
		for _, l := range b.lines {
			r = append(r, request{body: pizzas[l.pizza].Name})
		}
		return append(r, request{body: b.json(), token: string(rune('a' + n))})
	})
	wantDue := schedule{
		30 * time.Second, 30*time.Second + betweenRequests, 30*time.Second + 2*betweenRequests,
		90 * time.Second, 90*time.Second + betweenRequests, 90*time.Second + 2*betweenRequests, 90*time.Second + 3*betweenRequests,
	}
	if diff := cmp.Diff(wantDue, due); diff != "" {
		t.Errorf("due (-want +got):\n%s", diff)
	}
	want := []request{
		get("/menu/"), {body: "A"}, {body: `{"branchId":"BRANCH001","lines":[{"pizza_id":"a_s","quantity":1}]}`, token: "a"},
		get("/menu/"), {body: "A"}, {body: "B"},
		{body: `{"branchId":"BRANCH001","lines":[{"pizza_id":"a_s","quantity":2},{"pizza_id":"b_m","quantity":3}]}`, token: "b"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(request{})); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestStatements checks that the statements of the yardsticks fit the schema, and the
// rights of order's role.
func TestStatements(t *testing.T) {
	t.Parallel()
	db := migrationstest.NewSeeded(t)
	admin, err := pgurl.NewPool(t.Context(), db.URL(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	if _, err := admin.Exec(t.Context(), "INSERT INTO member (member_id, member_pwd, member_nm) VALUES ($1, '-', '-')", memberWithPgbench); err != nil {
		t.Fatal(err)
	}
	config, err := pgurl.Parse(db.URL("order_svc"))
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["pizza.member"] = memberWithPgbench
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	_, insert, _ := strings.Cut(strings.ReplaceAll(insertOrder(), ":id", "'1'"), "\n") // without the variable
	if _, err := conn.PgConn().Exec(t.Context(), insert).ReadAll(); err != nil {
		t.Fatal(err)
	}
	results, err := conn.PgConn().Exec(t.Context(), selectOrders(memberWithPgbench)).ReadAll()
	if err != nil || len(results) != 2 || len(results[1].Rows) != len(threeLines().lines) {
		t.Errorf("the list of orders is %v, %v", results, err)
	}
}
