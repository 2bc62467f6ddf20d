package loadtest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// wave returns samples around 100 that rise by a share of it from the first to the last,
// with noise of a tenth up and down.
func wave(rise float64) []float64 {
	values := make([]float64, 360)
	for i := range values {
		noise := []float64{0, 10, -10, 5, -7, 3}[i%6]
		values[i] = 100 + noise + 100*rise*float64(i)/float64(len(values))
	}
	return values
}

func TestJudge(t *testing.T) {
	t.Parallel()
	filling := wave(0)
	copy(filling, make([]float64, len(filling)/4)) // the first quarter is below the others
	leak, garbage := wave(1), wave(0)
	for i := range garbage {
		garbage[i] *= 1 + float64(i/270) // twice as high in the last quarter, with as low a floor
		if i%6 == 0 {
			garbage[i] = 50
		}
	}
	spike := wave(0)
	copy(spike[300:], []float64{900, 900, 900})
	tests := map[string]struct {
		kind   string
		values []float64
		grew   bool
	}{
		"leak":               {inMemory, leak, true},
		"slow_leak":          {inMemory, wave(0.3), true},
		"flat_and_noisy":     {inMemory, wave(0), false},
		"shrinks":            {inMemory, wave(-0.5), false},
		"fills_up_first":     {inMemory, filling, false},
		"a_few_slow_answers": {answered, spike, false},
		"slower_and_slower":  {answered, wave(1), true},
		"heap_of_garbage":    {onHeap, garbage, false},
		"leak_on_the_heap":   {onHeap, leak, true},
		"meant_to_grow":      {filled, leak, false},
		"rows_become_larger": {rowOfFilled, wave(0.3), true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, k := range kinds() {
				if k.name != tc.kind {
					continue
				}
				s := Series{Values: tc.values}
				s.judge(k)
				if s.grew() != tc.grew {
					t.Errorf("grew() = %v from %v to %v with a limit of %v", s.grew(), s.Early, s.Late, s.Limit)
				}
			}
		})
	}
}

func TestSoakTable(t *testing.T) {
	t.Parallel()
	r := &Soak{
		Date: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC), Long: "30m0s", Capacity: 1000, Rate: 700,
		Answers: 3000, Failed: 3, Failure: "503",
	}
	for i := range 8 {
		r.Minutes = append(r.Minutes, float64(i))
		r.add(inMemory, "order", float64(10*i))
		r.add(goroutines, "order", 100)
		r.add(filled, "orders", float64(i))
	}
	for _, k := range kinds() {
		for _, s := range r.of(k) {
			s.judge(k)
		}
	}
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(out.String(), "PostgreSQL \n")
	const want = `30m0s at 700 requests/s, 70% of the capacity; 3000 answers, 3 failed, such as: 503
medians of quarters, and the least of the heap; ! exceeds the limit

                      2nd quarter  last quarter  limit
memory        order   25.0 MiB     65.0 MiB      29.5 MiB !
goroutines    order   100.0        100.0         120.0
filled table  orders  2.5 MiB      6.5 MiB
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if err := r.Err(); err == nil || err.Error() != "something grew" {
		t.Errorf("Err() = %v", err)
	}
	r.Series = r.Series[1:]
	if err := r.Err(); err != nil {
		t.Errorf("Err() = %v without the series that grew", err)
	}
	r.Failed++
	if err := r.Err(); err == nil {
		t.Error("Err() accepts too many failures")
	}
	svg := r.Plots()["soak"]
	if !strings.Contains(svg, ">memory, MiB<") || strings.Count(svg, "<polyline") != 2 { // without the removed one
		t.Error("the drawing does not have its series")
	}
}
