package password

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// table returns the stored forms of a database migrated from two systems.
func table(tb testing.TB) map[string]string {
	tb.Helper()
	return map[string]string{
		"no_member":        "",
		"current":          Recommended().Hash("password"),
		"lighter":          argonLight,
		"clear_text":       "pizza1234",
		"unreadable":       bcryptHash,
		"unreadable_costs": "$argon2id$v=19$m=4194304,t=1,p=1$c29tc2FsdHNhbHQ$a2V5",
		"django":           djangoHash,
		"django_dear":      strings.Replace(djangoHash, "$10000$", "$200000$", 1),
		"heavier":          argonHeavy,
	}
}

// countWork returns a verifier that adds up the work of its runs, by function.
func countWork() (Verifier, map[string]uint64) {
	sum := map[string]uint64{}
	return Verifier{Cost: Recommended(), Ran: func(r Run) { sum[r.Function] += r.Work }}, sum
}

// Every rejection takes the same work, so that its duration does not reveal the
// reason. Only more expensive hashes take their own work.
func TestRefusalsTakeTheSameWork(t *testing.T) {
	t.Parallel()
	// A text that is not normalized is tried twice, for any stored form.
	for given, times := range map[string]uint64{"wrong": 1, "ｗｒｏｎｇ": 2} {
		for name, stored := range table(t) {
			t.Run(name+"_"+given, func(t *testing.T) {
				t.Parallel()
				v, sum := countWork()
				if got, _ := v.Verify(stored, given); got.OK {
					t.Fatal("accepted")
				}
				want := map[string]uint64{Argon2id: times * 2 * 19456}
				switch name {
				case "django":
					want[PBKDF2] = times * 10000
				case "django_dear":
					want = map[string]uint64{PBKDF2: times * 200000}
				case "heavier":
					want = map[string]uint64{Argon2id: times * 2 * 65536}
				}
				if diff := cmp.Diff(want, sum); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// A Django hash that exceeds the recommended cost can be below a higher one.
func TestPaddingScalesWithTheCost(t *testing.T) {
	t.Parallel()
	v, sum := countWork()
	v.Cost = Cost{Memory: 65536, Passes: 2}
	if got, _ := v.Verify(strings.Replace(djangoHash, "$10000$", "$300000$", 1), "wrong"); got.OK || sum[PBKDF2] != 300000 || sum[Argon2id] != v.Cost.Work() {
		t.Errorf("%+v after %+v", got, sum)
	}
}

// A correct password takes only the work of its stored form.
func TestRightPasswordTakesItsOwnWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stored, password string
		want             map[string]uint64
	}{
		"current":    {Recommended().Hash("password"), "password", map[string]uint64{Argon2id: 2 * 19456}},
		"django":     {djangoHash, "lètmein", map[string]uint64{PBKDF2: 10000}},
		"clear_text": {"pizza1234", "pizza1234", map[string]uint64{}},
	} {
		v, sum := countWork()
		if got, err := v.Verify(test.stored, test.password); !got.OK || err != nil || !cmp.Equal(test.want, sum) {
			t.Errorf("%s: %+v, %v after %+v", name, got, err, sum)
		}
	}
}

// Padding takes no more memory than a new hash. It does the missing work, except for
// a rounding error of one KiB per pass.
func TestPaddingIsBounded(t *testing.T) {
	t.Parallel()
	for _, cost := range []Cost{Recommended(), {16384, 1}, {2048, 10}, {7168, 5}} {
		for _, own := range []uint64{0, 1, 512, cost.Work() - 1, cost.Work(), cost.Work() + 1} {
			var did uint64
			v := Verifier{Cost: cost, Ran: func(r Run) { did += r.Work }}
			v.pad("wrong", own)
			if missing := cost.Work() - min(own, cost.Work()); did > missing || missing-did > uint64(cost.Passes) {
				t.Errorf("%+v less %d: did %d of %d", cost, own, did, missing)
			}
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

// BenchmarkRefusal reports the median time of a rejection by stored form. The forms
// take turns, so that load affects all of them. It is not a test, because a busy
// machine must not fail one.
func BenchmarkRefusal(b *testing.B) {
	v := Verifier{Cost: Recommended()}
	forms := table(b)
	took := map[string][]time.Duration{}
	for b.Loop() {
		for name, stored := range forms {
			began := time.Now()
			_, _ = v.Verify(stored, "wrong")
			took[name] = append(took[name], time.Since(began))
		}
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-ms")
	}
}
