package app_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/testkit/logtest"
	"example.com/pizza/pkg/testkit/pgtest"
)

// The real services that this one works with, each built once. In every test, menu
// prices the orders over REST, and login signs the tokens.
var (
	buildMenu  = sync.OnceValues(func() (string, error) { return build("menu") })
	buildLogin = sync.OnceValues(func() (string, error) { return build("login") })
)

func build(name string) (string, error) {
	if built := os.Getenv("NEIGHBOURS"); built != "" { // make mutate tests a copy of this module, alone
		return filepath.Join(built, name), nil
	}
	// The cache of go test does not notice changes of other modules. It does notice this
	// variable, which make test sets to a checksum of all sources.
	os.Getenv("TEST_RUN")
	dir, err := os.MkdirTemp("", "order-test-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, name)
	out, err := exec.Command("go", "build", "-o", binary, "example.com/pizza/services/"+name+"/cmd/"+name).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return binary, nil
}

// startMenu runs the menu service in a separate process, and returns its
// internal address. settings are additional variables.
func startMenu(t testing.TB, db *migrationstest.Database, settings ...string) string {
	t.Helper()
	_, internal := startNeighbour(t, buildMenu, append(pgtest.Environ(t, db.URL("menu_svc")), settings...))
	return internal
}

// startNeighbour runs a service until the test ends, and returns its addresses.
func startNeighbour(t testing.TB, build func() (string, error), environ []string) (public, internal string) {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = slices.Concat(environ, []string{"HTTP_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0", "SHUTDOWN_DELAY=0s"})
	log := logtest.New(t)
	for _, setting := range environ {
		name, value, _ := strings.Cut(setting, "=")
		if strings.HasSuffix(name, "PASSWORD") || strings.HasSuffix(name, "SECRET") || strings.HasSuffix(name, "TOKEN") {
			log.Learn(value)
		}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var drained sync.WaitGroup
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		drained.Wait()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(binary), err, &stderr)
		}
	})
	lines := bufio.NewScanner(io.TeeReader(stdout, log))
	for lines.Scan() {
		var line struct{ Public, Internal string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Internal != "" {
			drained.Go(func() { _, _ = io.Copy(log, stdout) })
			return "http://" + line.Public, "http://" + line.Internal
		}
	}
	t.Fatalf("%s did not start", filepath.Base(binary)) // the cleanup reports its stderr
	return "", ""
}
