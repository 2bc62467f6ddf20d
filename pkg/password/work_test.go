package password

import (
	"strings"
	"testing"
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
	if want := (Ceiling{Blocks: 2 * 65536, Iterations: 30000}); ceiling != want {
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
				if want := (Work{times * ceiling.Blocks, uint32(times) * ceiling.Iterations}); *sum != want {
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
		if got, _ := v.Verify(stored, "wrong"); got.OK || *sum != Recommended().Work() {
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
		"current":    {Recommended().Hash("password"), "password", Recommended().Work()},
		"django":     {djangoHash, "lètmein", Work{Iterations: 10000}},
		"clear_text": {"pizza1234", "pizza1234", Work{}},
	} {
		v, sum := counted(ceiling)
		if got, err := v.Verify(test.stored, test.password); !got.OK || err != nil || *sum != test.want {
			t.Errorf("%s: %+v, %v after %+v", name, got, err, *sum)
		}
	}
}

// What is done on nothing takes no more memory than a new hash, and the work
// that it should but for a rounding of one KiB per pass.
func TestFillerIsBounded(t *testing.T) {
	t.Parallel()
	for _, blocks := range []uint64{1, 512, 19456, 38912, 92160, maxMemory * maxPasses} {
		f := filler(blocks, Recommended())
		if did := f.work().Blocks; f.memory > Recommended().Memory || did > blocks || blocks-did > uint64(f.passes) {
			t.Errorf("%d: %+v", blocks, f)
		}
	}
}

func TestCeilingWithCost(t *testing.T) {
	t.Parallel()
	for beginning, want := range map[string]Ceiling{
		"$argon2id$v=19$m=65536,t=2,p=1$":   {Blocks: 131072},
		"pbkdf2_sha256$1000000$":            {Iterations: 1_000_000},
		"pbkdf2_sha256$2000001$":            {}, // never computed
		"$argon2id$v=19$m=4194304,t=1,p=1$": {},
		"":                                  {},
		"x":                                 {},
	} {
		if got := (Ceiling{}).WithCost(beginning); got != want {
			t.Errorf("%q: %+v, want %+v", beginning, got, want)
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

// The clock's view of the same: a report, since a busy machine must fail no test.
//
//	go test ./password -run '^$' -bench Refusal
func BenchmarkRefusal(b *testing.B) {
	table, ceiling := tableOf(b)
	for name, stored := range table {
		b.Run(name, func(b *testing.B) {
			v := Verifier{Cost: Recommended(), Ceiling: ceiling}
			for b.Loop() {
				_, _ = v.Verify(stored, "wrong")
			}
		})
	}
}
