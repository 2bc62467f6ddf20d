package server_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"example.com/pizza/pkg/server"
)

// TestServiceTakesNoArguments checks that arguments are rejected with exit status 2.
func TestServiceTakesNoArguments(t *testing.T) {
	t.Parallel()
	const variable = "SERVER_TEST_MAIN"
	if os.Getenv(variable) != "" {
		server.Main("oven", []string{"--port=80"}, func(context.Context, []string, io.Writer) error { return nil })
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServiceTakesNoArguments$")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), `oven: unexpected argument "--port=80"`) {
		t.Errorf("%v: %s", err, out)
	}
}
