package loadtest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func TestDraw(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		largest float64
		want    string
	}{
		"ones":        {5, "0 1 2 3 4 5"},
		"halves":      {2, "0 0.5 1 1.5 2"},
		"fifths":      {1, "0 0.2 0.4 0.6 0.8 1"},
		"hundreds":    {456, "0 100 200 300 400"},
		"nothing":     {0, "0 0.2 0.4 0.6 0.8 1"},
		"thousandths": {0.004, "0 0.001 0.002 0.003 0.004"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ticks, place := axis{}.scale([]float64{0, tc.largest}, 200)
			var got []string
			for _, tick := range ticks {
				got = append(got, tick.name)
			}
			if strings.Join(got, " ") != tc.want || tc.largest > 0 && place(tc.largest) != 200 {
				t.Errorf("ticks %v, and the largest at %v", got, place(tc.largest))
			}
		})
	}
	svg := draw(2, chart{title: "<one>", series: []series{{name: "a", x: []float64{0, 1}, y: []float64{0, 10}}}},
		againstTarget("two", 1, []string{"low", "high"}, series{name: "b", x: []float64{0.5, 2}}), chart{title: "three"})
	for _, want := range []string{">&lt;one&gt;<", `points="64.0,228.0 396.0,67.0"`, ">high<", ">three<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in\n%s", want, svg)
		}
	}
	if n := strings.Count(svg, "<circle"); n != 2 {
		t.Errorf("%d points; want 2", n)
	}
}

func TestFlow(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	var answers []vegeta.Result
	const tenth = time.Second / 10
	for _, latency := range []time.Duration{0, tenth / 2, tenth - 1, tenth, 3*tenth + tenth/2} {
		answers = append(answers, vegeta.Result{Code: 201, Timestamp: began, Latency: latency})
	}
	answers = append(answers, vegeta.Result{Code: 503, Timestamp: began.Add(time.Second)})
	got := flow("accepted", answers, isAccepted)
	if diff := cmp.Diff(Flow{Of: "accepted", PerSecond: []float64{30, 10, 0, 10}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReportPlots(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	r.Overload = []Flow{{"accepted", []float64{1000, 900}}, {"refused", []float64{0, 2000}}}
	plots := r.Plots()
	if n := strings.Count(plots["ratios"], "<circle"); n != 3 || !strings.Contains(plots["ratios"], ">memory loaded login, echo<") {
		t.Errorf("%d ratios, or no name; want the 3 that have a target", n)
	}
	if n := strings.Count(plots["overload"], "<polyline"); n != 2 {
		t.Errorf("%d lines; want those of accepted and refused orders", n)
	}
}
