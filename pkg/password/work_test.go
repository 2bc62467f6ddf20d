package password

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// tableOf is what a table may hold that took over two systems, and the ceiling
// of all of it.
func tableOf(t testing.TB) (map[string]string, Ceiling) {
	t.Helper()
	table := map[string]string{
		"no_member":        "",
		"current":          Recommended().Hash("password"),
		"lighter":          argonLight,
		"heavier":          argonHeavy,
		"clear_text":       "pizza1234",
		"django":           djangoHash,
		"django_long":      strings.Replace(djangoHash, "$10000$", "$30000$", 1),
		"unreadable":       bcryptHash,
		"unreadable_costs": "$argon2id$v=19$m=4194304,t=1,p=1$c29tc2FsdHNhbHQ$a2V5",
	}
	var c Ceiling
	for _, stored := range table {
		c = c.With(stored)
	}
	return table, c
}

// counted returns a verifier that adds up the work of what it runs.
func counted(c Ceiling) (Verifier, *Work) {
	var sum Work
	v := Verifier{Cost: Recommended(), Ceiling: c, Ran: func(r Run) {
		if (r.Function == PBKDF2) != (r.Work.Iterations > 0) || (r.Work.Blocks > 0) == (r.Work.Iterations > 0) {
			panic("a run of both functions, or of none")
		}
		sum.Blocks += r.Work.Blocks
		sum.Iterations += r.Work.Iterations
	}}
	return v, &sum
}

// Whatever the reason of a refusal, the same work was done for it: this, and no
// clock, is why its duration tells nothing.
func TestRefusalsTakeTheSameWork(t *testing.T) {
	t.Parallel()
	table, ceiling := tableOf(t)
	if want := (Ceiling{Blocks: 2 * 65536, Passes: 2, Iterations: 30000}); ceiling != want {
		t.Fatalf("the ceiling is %+v, want %+v", ceiling, want)
	}
	// A text that is not its normal form is tried twice, by its own account.
	for given, times := range map[string]uint64{"wrong": 1, "ｗｒｏｎｇ": 2} {
		for name, stored := range table {
			t.Run(name+"_"+given, func(t *testing.T) {
				t.Parallel()
				v, sum := counted(ceiling)
				if got, _ := v.Verify(stored, given); got.OK {
					t.Fatal("accepted")
				}
				if want := (Work{Blocks: times * ceiling.Blocks, Iterations: uint32(times) * ceiling.Iterations}); *sum != want {
					t.Errorf("did %+v, want %+v", *sum, want)
				}
			})
		}
	}
}

// Without old forms in the table a refusal takes what one hash of today does.
func TestRefusalsTakeOneHash(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]string{"no_member": "", "current": Recommended().Hash("password"), "clear_text": "pizza1234"} {
		v, sum := counted(Ceiling{})
		if got, _ := v.Verify(stored, "wrong"); got.OK || *sum != (Work{Blocks: Recommended().Work().Blocks}) {
			t.Errorf("%s: %+v after %+v", name, got, *sum)
		}
	}
}

// A right password takes its own form's work alone.
func TestRightPasswordTakesItsOwnWork(t *testing.T) {
	t.Parallel()
	_, ceiling := tableOf(t)
	for name, test := range map[string]struct {
		stored, password string
		want             Work
	}{
		"current":    {Recommended().Hash("password"), "password", Work{Blocks: 2 * 19456}},
		"django":     {djangoHash, "lètmein", Work{Iterations: 10000}},
		"clear_text": {"pizza1234", "pizza1234", Work{}},
	} {
		v, sum := counted(ceiling)
		if got, err := v.Verify(test.stored, test.password); !got.OK || err != nil || *sum != test.want {
			t.Errorf("%s: %+v, %v after %+v", name, got, err, *sum)
		}
	}
}

// What is done in the place of a form takes no more memory than the form, and
// the work that it should but for a rounding of one KiB per pass.
func TestFillerIsBounded(t *testing.T) {
	t.Parallel()
	for _, ceiling := range []Cost{Recommended(), {65536, 1}, {65536, 10}, {7168, 5}} {
		for _, own := range []Work{{}, {Blocks: 1}, {Blocks: 512}, {Blocks: ceiling.Work().Blocks - 1}} {
			rest := Ceiling{}.with(ceiling.Work()).minus(own)
			if f := filler(rest); f.memory > ceiling.Memory || rest.Blocks-f.work().Blocks > uint64(f.passes) {
				t.Errorf("%+v less %+v: %+v", ceiling, own, f)
			}
		}
	}
}

// A stored hash that is too dear to be computed does not raise the ceiling.
func TestCeilingIsBounded(t *testing.T) {
	t.Parallel()
	const argon, django = "$argon2id$v=19$m=%s,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$plMerz0GaAaIDuf+WEK2dQ4ByxoupKK4rbp39SRnT3U", "pbkdf2_sha256$%s$s$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY="
	for stored, want := range map[string]Ceiling{
		fmt.Sprintf(argon, "65536"):    {Blocks: 131072, Passes: 2},
		fmt.Sprintf(django, "1000000"): {Iterations: 1_000_000},
		fmt.Sprintf(django, "2000001"): {},
		fmt.Sprintf(argon, "4194304"):  {},
		"":                             {},
		"x":                            {},
	} {
		if got := (Ceiling{}).With(stored); got != want {
			t.Errorf("%q: %+v, want %+v", stored, got, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]Kind{
		Recommended().Hash("x"): Current, argonLight: Weaker, djangoHash: Django, "pizza1234": ClearText, "": None, bcryptHash: Unreadable,
		"!" + strings.Repeat("a", 40): Unreadable,
	} {
		if got := KindOf(stored, Recommended()); got != want {
			t.Errorf("%q is %s, want %s", stored, got, want)
		}
	}
}

// The clock's view of the same: the slowest median of all reasons for a refusal
// over the quickest, with the reasons in turn so that a busy moment meets all of
// them. A report and no test, since a busy machine must fail none.
//
//	go test ./password -run '^$' -bench Refusal -benchtime 200x
func BenchmarkRefusal(b *testing.B) {
	table, ceiling := tableOf(b)
	v := Verifier{Cost: Recommended(), Ceiling: ceiling}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, stored := range table { // in another order every time
			began := time.Now()
			_, _ = v.Verify(stored, "wrong")
			took[name] = append(took[name], time.Since(began))
		}
	}
	var medians []time.Duration
	for name, all := range took {
		slices.Sort(all)
		median := all[len(all)/2]
		medians = append(medians, median)
		b.ReportMetric(float64(median.Microseconds())/1000, name+"-ms")
	}
	b.ReportMetric(float64(slices.Max(medians))/float64(slices.Min(medians)), "slowest/quickest")
}
