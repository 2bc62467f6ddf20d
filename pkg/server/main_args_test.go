package server_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"example.com/pizza/pkg/logging"
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

// No line of the log is lost, however the service ends by itself.
func TestMainWritesTheWholeLog(t *testing.T) {
	t.Parallel()
	const variable = "SERVER_TEST_LOG"
	if end := os.Getenv(variable); end != "" {
		server.Main("oven", nil, func(ctx context.Context, _ []string, stdout io.Writer) error {
			logging.New(logging.Config{}, stdout, "oven").InfoContext(ctx, "the last pizza")
			if end == "failure" {
				return errors.New("burnt")
			}
			return nil
		})
		os.Exit(0) // as main returns
	}
	for _, end := range []string{"success", "failure"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMainWritesTheWholeLog$")
		cmd.Env = append(os.Environ(), variable+"="+end)
		out, err := cmd.CombinedOutput()
		if (err != nil) != (end == "failure") || !strings.Contains(string(out), `"msg":"the last pizza"`) {
			t.Errorf("%s: %v: %s", end, err, out)
		}
	}
}
