package loadtest

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"golang.org/x/perf/benchmath"
)

// confidence is that of the interval around a median.
const confidence = 0.95

// Report is the result of a run. Its figures mean something beside each other only: they
// are from one machine, at one time.
type Report struct {
	Date      time.Time `json:"date"`
	Machine   Machine   `json:"machine"`
	Rounds    int       `json:"rounds"`
	Round     string    `json:"round"`
	Rows      []Row     `json:"rows"`
	Latencies []Latency `json:"latencies"`
	Costs     []Cost    `json:"costs,omitempty"`
	Overload  []Flow    `json:"overload,omitempty"`

	answers []vegeta.Result // of the open attacks, for the plot
}

// Machine is where a run took place.
type Machine struct {
	System     string  `json:"system"`
	CPU        string  `json:"cpu"`
	Cores      int     `json:"cores"`
	Go         string  `json:"go"`
	PostgreSQL string  `json:"postgresql"`
	Load       float64 `json:"load"` // of other programs, just before the run
}

// Row compares a path with its yardstick: one measurement of each per round.
type Row struct {
	Path      string    `json:"path"`
	Unit      string    `json:"unit"` // "/s", of which more is better, or "ms" or "MiB", of which less is
	Ours      []float64 `json:"ours"`
	Against   string    `json:"against,omitempty"` // the yardstick; empty if there is none
	Yardstick []float64 `json:"yardstick,omitempty"`
	Target    float64   `json:"target,omitempty"` // of the ratio: the least of a rate, the most of anything else
}

// Latency has the times of answers to requests that were sent by a schedule.
type Latency struct {
	Path  string        `json:"path"`
	Rate  float64       `json:"rate"` // requests per second
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Flow has the answers per second of a kind, in each tenth of a second.
type Flow struct {
	Of        string    `json:"of"`
	PerSecond []float64 `json:"per_second"`
}

// flow counts the answers that keep accepts, from the moment at which the first was due.
func flow(of string, answers []vegeta.Result, keep func(vegeta.Result) bool) Flow {
	f := Flow{Of: of}
	began := time.Now()
	for _, a := range answers {
		began = earlier(began, a.Timestamp)
	}
	for _, a := range answers {
		if !keep(a) {
			continue
		}
		at := int(a.Timestamp.Add(a.Latency).Sub(began) / (time.Second / 10))
		for len(f.PerSecond) <= at {
			f.PerSecond = append(f.PerSecond, 0)
		}
		f.PerSecond[at] += 10
	}
	return f
}

// ratios returns ours divided by the yardstick, round by round. The two were measured one
// after the other, so that what slows the machine for a while slows both.
func (r Row) ratios() []float64 {
	ratios := make([]float64, 0, len(r.Ours))
	for i := range min(len(r.Ours), len(r.Yardstick)) {
		ratios = append(ratios, r.Ours[i]/r.Yardstick[i])
	}
	return ratios
}

func (r Row) moreIsBetter() bool { return r.Unit == "/s" }

// meets reports whether the median of the ratios meets the target.
func (r Row) meets() bool {
	ratio := median(r.ratios())
	if r.moreIsBetter() {
		return ratio >= r.Target
	}
	return ratio <= r.Target
}

func median(values []float64) float64 { return summary(values).Center }

func summary(values []float64) benchmath.Summary {
	if len(values) == 0 {
		return benchmath.Summary{Center: math.NaN()}
	}
	return benchmath.AssumeNothing.Summary(sample(values), confidence)
}

// sample returns a sample of benchmath, which sorts the values that it is given.
func sample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
}

// Write writes the tables of a report, at most 80 columns wide.
func (r *Report) Write(w io.Writer) error {
	if err := r.Machine.write(w, r.Date); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%d rounds of %s; medians; ± interval of %.0f%% confidence; ! misses the target\n\n",
		r.Rounds, r.Round, confidence*100); err != nil {
		return err
	}
	rows := [][]string{{"path", "ours", "yardstick", "", "ratio", "", "target"}}
	for _, row := range r.Rows {
		rows = append(rows, row.cells())
	}
	if err := writeTable(w, rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows = [][]string{{"latency by schedule", "rate", "answers", "p50", "p99", "max"}}
	for _, l := range r.Latencies {
		rows = append(rows, []string{
			l.Path, fmt.Sprintf("%.0f/s", l.Rate), fmt.Sprint(l.Count), milliseconds(l.P50), milliseconds(l.P99), milliseconds(l.Max),
		})
	}
	if err := writeTable(w, rows); err != nil || len(r.Costs) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows = [][]string{{"cost of a request", "services", "postgresql", "WAL"}}
	for _, c := range r.Costs {
		rows = append(rows, []string{c.Path, processorTime(c.Services), processorTime(c.Database), fmt.Sprintf("%d B", c.WAL)})
	}
	return writeTable(w, rows)
}

func (m Machine) write(w io.Writer, date time.Time) error {
	_, err := fmt.Fprintf(w, "%s, %s, %d cores, load before %.1f\n%s\n%s, PostgreSQL %s\n",
		date.Format(time.DateOnly), m.System, m.Cores, m.Load, m.CPU, m.Go, m.PostgreSQL)
	return err
}

// processorTime is in CPU-ms, of which a core has a thousand per second.
func processorTime(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

func (r Row) cells() []string {
	cells := []string{r.Path, r.figure(r.Ours), r.Against, "", "", "", ""}
	if r.Against == "" {
		return cells
	}
	ratio := summary(r.ratios())
	cells[3], cells[4], cells[5] = r.figure(r.Yardstick), fmt.Sprintf("%.2f", ratio.Center), "±"+ratio.PctRangeString()
	if r.Target != 0 {
		sign, mark := "≤", ""
		if r.moreIsBetter() {
			sign = "≥"
		}
		if !r.meets() {
			mark = " !"
		}
		cells[6] = fmt.Sprintf("%s%.2f%s", sign, r.Target, mark)
	}
	return cells
}

// figure returns the median of measurements with their unit.
func (r Row) figure(values []float64) string {
	m := median(values)
	if r.moreIsBetter() {
		return fmt.Sprintf("%.0f%s", m, r.Unit)
	}
	return fmt.Sprintf("%.1f %s", m, r.Unit)
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

func writeTable(w io.Writer, rows [][]string) error {
	var table strings.Builder
	aligned := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(aligned, strings.Join(row, "\t")) // a Builder returns no error
	}
	_ = aligned.Flush()
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// latency summarizes the answers that keep accepts; nil accepts all.
func latency(path string, long time.Duration, answers []vegeta.Result, keep func(vegeta.Result) bool) Latency {
	var m vegeta.Metrics
	for _, a := range answers {
		if keep == nil || keep(a) {
			m.Add(&a)
		}
	}
	m.Close()
	return Latency{
		Path: path, Rate: float64(m.Requests) / long.Seconds(), Count: m.Requests,
		P50: m.Latencies.P50, P99: m.Latencies.P99, Max: m.Latencies.Max,
	}
}

// Plots returns the drawings by name: the ratios, of which 1 meets the target, and the
// orders of the last overload.
func (r *Report) Plots() map[string]string {
	var names []string
	ratios := series{name: "measured"}
	for _, row := range slices.Backward(r.Rows) { // the first row is the highest
		if row.Target == 0 || row.Against == "" {
			continue
		}
		share := median(row.ratios()) / row.Target
		if !row.moreIsBetter() {
			share = 1 / share
		}
		names = append(names, row.Path+", "+row.Against)
		ratios.x = append(ratios.x, share)
	}
	goodput := chart{title: "Orders per second at three times the capacity", x: axis{unit: "seconds"}}
	for _, f := range r.Overload {
		s := series{name: f.Of, y: f.PerSecond}
		for i := range f.PerSecond {
			s.x = append(s.x, float64(i)/10)
		}
		goodput.series = append(goodput.series, s)
	}
	return map[string]string{
		"ratios":   draw(1, againstTarget("Share of the target that is reached; 1 and more is good", 1, names, ratios)),
		"overload": draw(1, goodput),
	}
}

// Err returns nil: a missed target is for people to judge.
func (r *Report) Err() error { return nil }
