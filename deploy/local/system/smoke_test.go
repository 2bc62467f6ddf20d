package system

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// testSmoke runs the smoke test that `helm test` runs in a cluster.
func (s *system) testSmoke(t *testing.T) {
	order := filepath.Join(s.folder, "bin", "order")
	run := func(environ []string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), order, append([]string{"smoke"}, args...)...)
		cmd.Env = environ
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
	t.Run("places an order", func(t *testing.T) {
		out, err := run([]string{"LOGIN_URL=" + s.URL(), "MENU_URL=" + s.URL(), "ORDER_URL=" + s.URL()})
		const want = "ok  register\nok  log in\nok  read the menu\nok  read the branches\nok  place an order\nok  find it again\nok  log out\n"
		if err != nil || out != want {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("says which step fails", func(t *testing.T) {
		out, err := run([]string{"LOGIN_URL=" + s.URL(), "MENU_URL=" + s.URL() + "/nowhere", "ORDER_URL=" + s.URL()})
		if err == nil || !strings.Contains(out, "ok  log in\n") || !strings.Contains(out, "read the menu: GET "+s.URL()+"/nowhere/menu/: answer 404") {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("names every address that is missing", func(t *testing.T) {
		out, err := run(nil)
		for _, name := range []string{"LOGIN_URL", "MENU_URL", "ORDER_URL"} {
			if err == nil || !strings.Contains(out, name) {
				t.Errorf("%v, without %s\n%s", err, name, out)
			}
		}
	})
	t.Run("tells what can be reached", func(t *testing.T) {
		open := s.Service("menu").Internal
		if out, err := run(nil, open); err != nil || out != "reached "+open+"\n" {
			t.Errorf("%v\n%s", err, out)
		}
		if out, err := run(nil, open, "127.0.0.1:1"); err == nil || !strings.Contains(out, "127.0.0.1:1") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}
