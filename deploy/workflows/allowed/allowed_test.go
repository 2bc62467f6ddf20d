package allowed_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"example.com/pizza/deploy/workflows/allowed"
)

func TestRead(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	const good = "{id: CVE-2026-12345, module: golang.org/x/net, reason: its HTTP/2 server is not used here, until: 2026-11-23}"
	for name, c := range map[string]struct{ list, says string }{
		"nothing":          {"allowed: []", ""},
		"on_the_last_day":  {"allowed:\n- " + good, ""},
		"other_databases":  {"allowed:\n- " + strings.Replace(good, "CVE-2026-12345", "GHSA-ab12-cd34-ef56", 1) + "\n- " + strings.Replace(good, "CVE-2026-12345", "GO-2026-1234", 1), ""},
		"expired":          {"allowed:\n- " + strings.Replace(good, "11-23}", "11-22}", 1), "was allowed until 2026-11-22"},
		"for_ever":         {"allowed:\n- " + strings.Replace(good, "2026-11-23", "2027-11-23", 1), "more than 90 days"},
		"without_a_day":    {"allowed:\n- {id: CVE-2026-12345, module: a, reason: its HTTP/2 server is not used here}", "until when"},
		"without_a_reason": {"allowed:\n- {id: CVE-2026-12345, module: a, until: 2026-11-30}", "says no reason"},
		"lazy_reason":      {"allowed:\n- {id: CVE-2026-12345, module: a, reason: later, until: 2026-11-30}", "says no reason"},
		"without_a_module": {"allowed:\n- {id: CVE-2026-12345, reason: its HTTP/2 server is not used here, until: 2026-11-30}", "says no module"},
		"of_no_database":   {"allowed:\n- {id: all, module: a, reason: its HTTP/2 server is not used here, until: 2026-11-30}", "is no CVE"},
		"twice":            {"allowed:\n- " + good + "\n- " + good, "twice"},
		"another_field":    {"ignored: []", "ignored"},
	} {
		all, err := allowed.Read([]byte(c.list), today)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if c.says == "" && len(all) != strings.Count(c.list, "id:") {
			t.Errorf("%s: %+v", name, all)
		}
	}
}

func TestGrype(t *testing.T) {
	t.Parallel()
	got, err := allowed.Grype([]allowed.Vulnerability{{ID: "CVE-2026-12345", Module: "golang.org/x/net", Reason: "not used"}})
	const want = "ignore:\n- package:\n    name: golang.org/x/net\n  reason: not used\n  vulnerability: CVE-2026-12345\n"
	if string(got) != want || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := allowed.Grype(nil); string(got) != "ignore: []\n" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

// The list of this repository is valid. Expired entries are found by tools/delivery.sh scan, not by
// a test that would start to fail without a change.
func TestList(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../../.github/allowed-vulnerabilities.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := allowed.Read(content, time.Time{}); err != nil && !strings.Contains(err.Error(), "days away") {
		t.Error(err)
	}
}
