package token

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The files are replaced between two reads, while the old key moves from one file to
// the other. The old key is never lost.
func TestReloadNeverMixesTwoMoments(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 32), strings.Repeat("b", 32)
	before := map[string]string{"signing": a, "previous": b}
	after := map[string]string{"signing": b, "previous": a}
	for _, changeAt := range []int{1, 2, 3, 4} { // before the nth file that a reload reads
		now, reads := before, 0
		read := func(name string) (string, error) {
			if reads++; reads == changeAt {
				now = after
			}
			return now[name], nil
		}
		r, err := open(Config{SecretFile: "signing", PreviousFile: "previous"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), time.Now,
			func(name string) (string, error) { return before[name], nil })
		if err != nil {
			t.Fatal(err)
		}
		r.read = read
		r.Reload(t.Context())
		if got := *r.ring.Load(); len(got) != 2 || string(got.signing().secret) != b {
			t.Errorf("changed before file %d: keys %v", changeAt, got.ids())
		}
	}
}

// Files that keep changing do not stop the reloader, and no key is lost.
func TestReloadOfFilesThatNeverStandStill(t *testing.T) {
	t.Parallel()
	letters := "abcdefghijklmnop"
	r, err := open(Config{SecretFile: "signing"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), time.Now,
		func(string) (string, error) { return strings.Repeat("z", 32), nil })
	if err != nil {
		t.Fatal(err)
	}
	was := r.ring.Load().signing().id
	r.read = func(string) (string, error) {
		s := strings.Repeat(letters[:1], 32)
		letters = letters[1:] + letters[:1]
		return s, nil
	}
	r.Reload(t.Context())
	if got := r.ring.Load().signing().id; got != was {
		t.Errorf("took up %s of a moment that did not last", got)
	}
}
