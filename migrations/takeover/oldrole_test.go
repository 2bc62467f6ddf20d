package takeover_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/pizza/migrations/takeover"
)

func TestParityProblem(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	report := func(age time.Duration, parity bool, totals string) string {
		at := now.Add(-age).Format(time.RFC3339Nano)
		return fmt.Sprintf(`{"at":%q,"parity":%v,"totals":{%s},"routes":[]}`, at, parity, totals)
	}
	const good = `"requests":3,"same":2,"intended":1,"different":0,"failed":0`
	for name, c := range map[string]struct{ text, want string }{
		"fresh":           {report(0, true, good), ""},
		"of_a_day":        {report(24*time.Hour, true, good), ""},
		"only_intended":   {report(0, true, `"intended":1`), ""},
		"clocks_differ":   {report(-50*time.Second, true, good), ""},
		"old":             {report(24*time.Hour+time.Minute, true, good), "it is 24h1m0s old, more than a day"},
		"from_the_future": {report(-time.Hour, true, good), "it is from the future: 2026-11-28 13:00:00 UTC"},
		"differs":         {report(0, false, `"same":1,"different":2`), "no parity: 2 requests differ, and 0 were"},
		"not_compared":    {report(0, false, `"same":1,"failed":1`), "no parity: 0 requests differ, and 1 were"},
		"edited":          {report(0, true, `"same":1,"different":2`), "no parity: 2 requests differ"},
		"nothing":         {report(0, true, ""), "no request was compared"},
		"no_time":         {`{"parity":true}`, "it has no time"},
		"no_json":         {"parity", "it is no report"},
		"empty":           {"", "it is no report"},
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := takeover.ParityProblem(file, now)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	got := takeover.ParityProblem(filepath.Join(t.TempDir(), "none"), now)
	if !strings.Contains(got, "it cannot be read") {
		t.Errorf("no file: %q", got)
	}
}
