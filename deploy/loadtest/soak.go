package loadtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	// soakShare is the share of the capacity at which a soak runs.
	soakShare = 0.7
	// soakSamples is the least number of samples, and soakPause the longest pause before one.
	soakSamples = 40
	soakPause   = 5 * time.Second
)

// Soak is the result of a long run at a constant rate.
type Soak struct {
	Date     time.Time `json:"date"`
	Machine  Machine   `json:"machine"`
	Long     string    `json:"long"`
	Capacity float64   `json:"capacity"` // requests per second
	Rate     float64   `json:"rate"`
	Answers  int       `json:"answers"`
	Failed   int       `json:"failed"`
	Failure  string    `json:"failure,omitempty"` // the last one
	Minutes  []float64 `json:"minutes"`           // when the samples were taken
	Series   []*Series `json:"series"`
}

// Series has the samples of one quantity.
type Series struct {
	Kind   string    `json:"kind"`
	Of     string    `json:"of"`
	Values []float64 `json:"values"`
	Early  float64   `json:"early"` // of the second quarter: memory and tables fill up in the first
	Late   float64   `json:"late"`  // of the last quarter
	Limit  float64   `json:"limit,omitempty"`
}

// kind is a kind of series. Late may exceed Early by a share of it, and by some more; a
// kind without a share is not judged.
type kind struct {
	name, unit  string
	level       func([]float64) float64
	share, more float64
}

func (k kind) title() string { return strings.TrimSuffix(k.name+", "+k.unit, ", ") }

const (
	inMemory    = "memory"
	onHeap      = "heap"
	goroutines  = "goroutines"
	connected   = "connections"
	answered    = "answers"
	emptied     = "emptied table"
	filled      = "filled table"
	rowOfFilled = "table per row"
)

func kinds() []kind {
	return []kind{
		{inMemory, "MiB", median, 0.1, 2},
		{onHeap, "MiB", slices.Min[[]float64], 0.1, 2}, // between two collections it is full of garbage
		{goroutines, "", median, 0.1, 10},
		{connected, "", median, 0.1, 2},
		{answered, "ms", median, 0.25, 2},
		{emptied, "MiB", median, 0.1, 1},
		{filled, "MiB", median, 0, 0},
		{rowOfFilled, "B", median, 0.1, 0},
	}
}

// tables are those that orders write, by whether their rows stay for longer than a soak.
func tables() map[string]string {
	return map[string]string{
		"orders": filled, "order_detail": filled, "idempotency_key": filled, "event": filled,
		"order_outbox": emptied, "event_delivery": emptied, "login_outbox": emptied, "menu_outbox": emptied,
		"revoked_token": emptied, "revoked_member": emptied,
	}
}

// judge compares the quarters of a series.
func (s *Series) judge(k kind) {
	quarter := len(s.Values) / 4
	s.Early, s.Late = k.level(s.Values[quarter:2*quarter]), k.level(s.Values[len(s.Values)-quarter:])
	if k.share > 0 {
		s.Limit = s.Early*(1+k.share) + k.more
	}
}

func (s *Series) grew() bool { return s.Limit > 0 && s.Late > s.Limit }

// RunSoak runs visits of the real year, every hundredth with a login, at a share of the
// capacity, and samples what could grow.
func RunSoak(ctx context.Context, o Options) (_ *Soak, err error) {
	r := &Soak{Date: time.Now(), Long: o.Soak.String()}
	load := readLoad()
	year, err := readHistory(history(o.Root))
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, o.Root, o.Progress, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if r.Machine, err = s.describe(ctx, load); err != nil {
		return nil, err
	}
	var requests []request
	for i, b := range year[:visitors] {
		if i%100 == 0 {
			requests = append(requests, s.demoLogin())
		}
		requests = append(requests, s.visit(b, i)...)
	}
	targets := inTurn(requests...)
	var rates []float64
	for range o.Rounds {
		rate, err := s.saturate(ctx, targets, o.Round)
		if err != nil {
			return nil, err
		}
		rates = append(rates, rate)
	}
	r.Capacity = median(rates)
	r.Rate = soakShare * r.Capacity
	_, err = fmt.Fprintf(o.Progress, "%.0f requests/s; goes on with %.0f/s for %s\n", r.Capacity, r.Rate, o.Soak)
	if err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	if err := r.run(ctx, s, targets, o); err != nil {
		return nil, err
	}
	for _, k := range kinds() {
		for _, series := range r.of(k) {
			series.judge(k)
		}
	}
	return r, nil
}

// settle waits until all events are handled.
func (s *system) settle(ctx context.Context) error {
	const waits = "SELECT EXISTS (SELECT FROM order_outbox) OR EXISTS (SELECT FROM event_delivery)"
	for waiting := true; waiting; {
		if err := s.admin.QueryRow(ctx, waits).Scan(&waiting); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

// run sends the requests, and takes the samples.
func (r *Soak) run(ctx context.Context, s *system, targets vegeta.Targeter, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var answers []vegeta.Result
	ended := make(chan error, 1)
	go func() {
		ended <- s.send(ctx, targets, constant(r.Rate, o.Soak), func(a vegeta.Result) {
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, a)
		})
	}()
	began, pause := time.Now(), min(soakPause, o.Soak/soakSamples)
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			_, _ = fmt.Fprintln(o.Progress) // ends the line
			return err
		case <-tick.C:
		}
		mu.Lock()
		taken := answers
		answers = nil
		mu.Unlock()
		l := latency("", pause, taken, nil)
		r.Answers += len(taken)
		for _, a := range taken {
			if a.Error != "" {
				r.Failed, r.Failure = r.Failed+1, a.Error
			}
		}
		r.Minutes = append(r.Minutes, time.Since(began).Minutes())
		r.add(answered, "p50", l.P50.Seconds()*1000)
		r.add(answered, "p99", l.P99.Seconds()*1000)
		if err := r.sample(ctx, s); err != nil {
			cancel()
			return errors.Join(err, <-ended)
		}
		_, err := fmt.Fprintf(o.Progress, "\r%s of %s: %.0f answers/s, p99 %s, %d failed   ",
			time.Since(began).Round(time.Second), o.Soak, l.Rate, milliseconds(l.P99), r.Failed)
		if err != nil {
			return err
		}
	}
}

func (r *Soak) add(kind, of string, value float64) {
	for _, s := range r.Series {
		if s.Kind == kind && s.Of == of {
			s.Values = append(s.Values, value)
			return
		}
	}
	r.Series = append(r.Series, &Series{Kind: kind, Of: of, Values: []float64{value}})
}

// sample adds what services and PostgreSQL hold now.
func (r *Soak) sample(ctx context.Context, s *system) error {
	const mib = 1 << 20
	for _, name := range services() {
		text, err := s.do(ctx, get("http://"+s.Service(name).Metrics+"/metrics"))
		if err != nil {
			return err
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("metrics of %s: %w", name, err)
		}
		gauge := func(metric string) float64 { return families[metric].GetMetric()[0].GetGauge().GetValue() }
		r.add(inMemory, name, gauge("process_resident_memory_bytes")/mib)
		r.add(onHeap, name, gauge("go_memstats_heap_inuse_bytes")/mib)
		r.add(goroutines, name, gauge("go_goroutines"))
	}
	const clients = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
	var connections float64
	if err := s.admin.QueryRow(ctx, clients).Scan(&connections); err != nil {
		return err
	}
	r.add(connected, "PostgreSQL", connections)
	// The number of rows is the one that autovacuum works with: to count them would be a load of its own.
	rows, err := s.admin.Query(ctx, `SELECT relname, pg_total_relation_size(relid), n_live_tup
		FROM pg_stat_user_tables ORDER BY relname`)
	if err != nil {
		return err
	}
	var table string
	var size, live float64
	_, err = pgx.ForEachRow(rows, []any{&table, &size, &live}, func() error {
		kind := tables()[table]
		if kind == "" {
			return nil
		}
		r.add(kind, table, size/mib)
		if kind == filled {
			r.add(rowOfFilled, table, size/max(live, 1))
		}
		return nil
	})
	return err
}

// of returns the series of a kind.
func (r *Soak) of(k kind) []*Series {
	return slices.DeleteFunc(slices.Clone(r.Series), func(s *Series) bool { return s.Kind != k.name })
}

// Err returns an error if something grew, or more than one of a thousand requests failed.
func (r *Soak) Err() error {
	if slices.ContainsFunc(r.Series, (*Series).grew) {
		return errors.New("something grew")
	}
	if r.Failed > r.Answers/1000 {
		return errors.New("too many requests failed")
	}
	return nil
}

// Write writes the table.
func (r *Soak) Write(w io.Writer) error {
	if err := r.Machine.write(w, r.Date); err != nil {
		return err
	}
	failed := ", none failed"
	if r.Failed > 0 {
		failed = fmt.Sprintf(", %d failed, such as: %s", r.Failed, r.Failure)
	}
	if _, err := fmt.Fprintf(w, `%s at %.0f requests/s, %.0f%% of the capacity; %d answers%s
medians of quarters, and the least of the heap; ! exceeds the limit

`, r.Long, r.Rate, soakShare*100, r.Answers, failed); err != nil {
		return err
	}
	rows := [][]string{{"", "", "2nd quarter", "last quarter", "limit"}}
	for _, k := range kinds() {
		for _, s := range r.of(k) {
			figure := func(v float64) string { return fmt.Sprintf("%.1f %s", v, k.unit) }
			row := []string{k.name, s.Of, figure(s.Early), figure(s.Late), ""}
			if s.Limit > 0 {
				row[4] = figure(s.Limit)
			}
			if s.grew() {
				row[4] += " !"
			}
			rows = append(rows, row)
		}
	}
	return writeTable(w, rows)
}

// Plots returns the drawings by name.
func (r *Soak) Plots() map[string]string {
	var charts []chart
	for _, k := range kinds() {
		c := chart{title: k.title(), x: axis{unit: "minutes"}}
		for _, s := range r.of(k) {
			c.series = append(c.series, series{name: s.Of, x: r.Minutes, y: s.Values})
		}
		charts = append(charts, c)
	}
	return map[string]string{"soak": draw(2, charts...)}
}
