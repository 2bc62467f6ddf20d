package token_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	secrets "example.com/pizza/pkg/secret"
	"example.com/pizza/pkg/testkit/tokentest"
	"example.com/pizza/pkg/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mounted has the keys of a mounted Secret, with their log and metrics.
type mounted struct {
	*token.Reloader
	registry *prometheus.Registry
	log      *bytes.Buffer
}

func openVolume(t *testing.T, v tokentest.Volume) mounted {
	t.Helper()
	m := mounted{registry: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	r, err := token.Open(
		token.Config{SecretFile: v.Path(tokentest.Signing), PreviousFile: v.Path(tokentest.Previous), Every: time.Millisecond},
		slog.New(slog.NewJSONHandler(m.log, nil)), m.registry, moment)
	if err != nil {
		t.Fatal(err)
	}
	m.Reloader = r
	return m
}

// number returns the value of a metric that has these label values.
func (m mounted) number(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			found := map[string]bool{}
			for _, l := range metric.GetLabel() {
				found[l.GetValue()] = true
			}
			lacks := slices.ContainsFunc(labels, func(l string) bool { return !found[l] })
			if f.GetName() == name && !lacks {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// lines returns the log lines since the last call.
func (m mounted) lines(t *testing.T) []map[string]any {
	t.Helper()
	var out []map[string]any
	for d := json.NewDecoder(m.log); d.More(); {
		var line map[string]any
		if err := d.Decode(&line); err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
	return out
}

func (m mounted) accepts(raw string) bool {
	_, err := m.Verify(raw)
	return err == nil
}

// A rotation in the order that the handbook gives logs no member out.
func TestReloadRotates(t *testing.T) {
	t.Parallel()
	a, b := secretOf("a"), secretOf("b")
	byA, byB := mustIssue(t, keysOf(a)), mustIssue(t, keysOf(b))
	kidA, kidB := kid(t, byA), kid(t, byB)
	v := tokentest.NewVolume(t, a)
	m := openVolume(t, v)
	for _, step := range []struct {
		name          string
		change        func()
		signs         string
		goodA, goodB  bool
		changes, keys float64
		verifying     []any // in the log; nil for no line
		useA, useB    string
	}{
		{"before", func() {}, kidA, true, false, 0, 1, nil, "sign", ""},
		{"verifiers_first", func() { v.Set(t, a, b) }, kidA, true, true, 1, 2, []any{kidA, kidB}, "sign", "verify"},
		{"nothing_new", func() { v.Set(t, a, b) }, kidA, true, true, 1, 2, nil, "sign", "verify"},
		{"sign_with_the_new_one", func() { v.Set(t, b, a) }, kidB, true, true, 2, 2, []any{kidB, kidA}, "verify", "sign"},
		{"remove_the_old_one", func() { v.Set(t, b) }, kidB, false, true, 3, 1, []any{kidB}, "", "sign"},
	} {
		step.change()
		m.Reload(t.Context())
		if got := kid(t, mustIssue(t, m.Keys)); got != step.signs {
			t.Errorf("%s: signs with %s, want %s", step.name, got, step.signs)
		}
		if m.accepts(byA) != step.goodA || m.accepts(byB) != step.goodB {
			t.Errorf("%s: old token %v, new token %v", step.name, m.accepts(byA), m.accepts(byB))
		}
		if changes, keys := m.number(t, "token_key_reloads_total", "changed"), m.number(t, "token_verifying_keys"); changes != step.changes || keys != step.keys {
			t.Errorf("%s: %v changes, %v keys", step.name, changes, keys)
		}
		for id, want := range map[string]string{kidA: step.useA, kidB: step.useB} {
			for _, use := range []string{"sign", "verify"} {
				if got := m.number(t, "token_key_info", id, use); (got == 1) != (use == want) {
					t.Errorf("%s: token_key_info of %s to %s is %v", step.name, id, use, got)
				}
			}
		}
		logged := m.log.String()
		lines := m.lines(t)
		if (len(lines) == 1) != (step.verifying != nil) || len(lines) > 1 {
			t.Fatalf("%s: logged %s", step.name, logged)
		}
		if step.verifying != nil {
			got := []any{lines[0]["event"], lines[0]["signing_kid"], lines[0]["verifying_kids"]}
			if diff := cmp.Diff([]any{"token_keys_changed", step.signs, step.verifying}, got); diff != "" {
				t.Errorf("%s: %s", step.name, diff)
			}
		}
		if strings.Contains(logged, a) || strings.Contains(logged, b) {
			t.Errorf("%s: a secret is in the log: %s", step.name, logged)
		}
	}
}

// Unusable files change nothing, and are logged once and counted each time. Files
// that are usable again are used.
func TestReloadKeepsTheOldKeys(t *testing.T) {
	t.Parallel()
	a, b := secretOf("a"), secretOf("b")
	for name, spoil := range map[string]func(t *testing.T, v tokentest.Volume){
		"empty":             func(t *testing.T, v tokentest.Volume) { v.Set(t, "") },
		"blank":             func(t *testing.T, v tokentest.Volume) { v.Set(t, " \n \n") },
		"short":             func(t *testing.T, v tokentest.Volume) { v.Set(t, b[1:]) },
		"two_keys":          func(t *testing.T, v tokentest.Volume) { v.Set(t, b+"\n"+a) },
		"short_previous":    func(t *testing.T, v tokentest.Volume) { v.Set(t, b, "short") },
		"signing_gone":      func(t *testing.T, v tokentest.Volume) { v.Replace(t, map[string]string{tokentest.Previous: a}) },
		"previous_gone":     func(t *testing.T, v tokentest.Volume) { v.Replace(t, map[string]string{tokentest.Signing: b}) },
		"all_gone":          func(t *testing.T, v tokentest.Volume) { v.Replace(t, nil) },
		"a_folder_in_place": func(t *testing.T, v tokentest.Volume) { v.Replace(t, nil); mkdir(t, v.Path("..data/signing")) },
		"a_link_to_itself": func(t *testing.T, v tokentest.Volume) {
			v.Replace(t, nil)
			link(t, "signing", v.Path("..data/signing"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := tokentest.NewVolume(t, a)
			m := openVolume(t, v)
			byA := mustIssue(t, keysOf(a))
			spoil(t, v)
			for range 3 {
				m.Reload(t.Context())
			}
			if !m.accepts(byA) || kid(t, mustIssue(t, m.Keys)) != kid(t, byA) {
				t.Error("the key before is not in use")
			}
			if got := m.number(t, "token_key_reloads_total", "failed"); got != 3 {
				t.Errorf("counted %v times, want 3", got)
			}
			lines := m.lines(t)
			if len(lines) != 1 || lines[0]["event"] != "token_keys_refused" || lines[0]["level"] != "ERROR" {
				t.Errorf("logged %v", lines)
			}
			v.Set(t, a)
			m.Reload(t.Context())
			if lines := m.lines(t); len(lines) != 1 || lines[0]["event"] != "token_keys_restored" {
				t.Errorf("logged %v", lines)
			}
			v.Set(t, b, a)
			m.Reload(t.Context())
			if got := mustIssue(t, m.Keys); kid(t, got) == kid(t, byA) || !m.accepts(got) || !m.accepts(byA) {
				t.Error("a good file is not taken up after a bad one")
			}
		})
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesBadKeys(t *testing.T) {
	t.Parallel()
	_, err := token.Open(token.Config{Secret: "short"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), moment)
	if err == nil || !strings.Contains(err.Error(), "JWT_SECRET: a key must be at least 32 bytes") {
		t.Errorf("error %v", err)
	}
}

// Run applies a change while other goroutines issue and verify, and ends with its
// context. Every token is always valid during a rotation in order.
func TestRunWhileKeysAreInUse(t *testing.T) {
	t.Parallel()
	a, b := secretOf("a"), secretOf("b")
	v := tokentest.NewVolume(t, a)
	m := openVolume(t, v)
	ctx, stop := context.WithCancel(t.Context())
	inUse, release := context.WithCancel(t.Context())
	var watching, working sync.WaitGroup
	watching.Go(func() { m.Run(ctx) })
	for range 4 {
		working.Go(func() {
			for inUse.Err() == nil {
				raw, err := m.Issue("minji", 0, time.Hour)
				if _, verifyErr := m.Verify(raw); err != nil || verifyErr != nil {
					t.Errorf("refused in the middle of a rotation: %v, %v", err, verifyErr)
					return
				}
			}
		})
	}
	change := func(keys ...string) {
		v.Set(t, keys[0], keys[1:]...)
		want := kid(t, mustIssue(t, keysOf(keys[0])))
		for kid(t, mustIssue(t, m.Keys)) != want || m.number(t, "token_verifying_keys") != float64(len(keys)) {
			time.Sleep(time.Millisecond)
		}
	}
	change(a, b)
	change(b, a)
	release() // an old key is removed when its last token has expired
	working.Wait()
	change(b)
	stop()
	watching.Wait()
}

// Without files, Run returns immediately.
func TestRunEndsWithoutFiles(t *testing.T) {
	t.Parallel()
	r, err := token.Open(token.Config{Secret: secrets.Text(secretOf("a"))}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), moment)
	if err != nil {
		t.Fatal(err)
	}
	r.Run(t.Context())
}
