package guide

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var info = Info{
	URL: "http://localhost:8000", Database: "postgres://u:p@127.0.0.1:5/pizza", Secrets: ".local/secrets.json", DemoID: "demo", DemoPW: "secret", Branch: "B1", TookToRun: "4.2 s",
	Services: []Service{{"login", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"}, {"menu", "127.0.0.1:4", "127.0.0.1:5", "127.0.0.1:6"}},
}

func TestWrite(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := Write(&b, info); err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(b.String(), "\nThe whole flow")
	want := `
The pizza stack is up after 4.2 s.

  API           http://localhost:8000/api    also without /api
  API page      http://localhost:8000/docs   try every call in the browser
  login         http://127.0.0.1:1           internal http://127.0.0.1:2/int, metrics http://127.0.0.1:3/metrics
  menu          http://127.0.0.1:4           internal http://127.0.0.1:5/int, metrics http://127.0.0.1:6/metrics
  database      psql "postgres://u:p@127.0.0.1:5/pizza"
  demo member   demo                     password secret
  admin token   in .local/secrets.json   for /log-level and /int/auth/revoke
  rate limits   10000/s, to try things   production has its own
  watch it      make observe             dashboards, alerts and traces
`
	if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if err := Write(closed{}, info); err == nil {
		t.Error("Write() to a closed terminal = nil")
	}
}

// TestCommands checks that the guide contains every command verbatim, and that
// none does harm in a shell without comments.
func TestCommands(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := Write(&b, info); err != nil {
		t.Fatal(err)
	}
	commands := Commands(info)
	if !strings.Contains(b.String(), "\n"+strings.Join(commands, "\n")+"\n") {
		t.Error("the commands are not in the text as they are")
	}
	for _, c := range commands {
		if strings.HasPrefix(c, "#") || strings.ContainsRune(c, '!') || c == "" {
			t.Errorf("%q", c)
		}
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
