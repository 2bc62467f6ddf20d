// Command withpostgres runs a command with a separate PostgreSQL server:
//
//	withpostgres go test ./...
//
// The command gets the superuser's address in TEST_DATABASE_URL. Server and data
// are deleted afterwards. If TEST_DATABASE_URL is already set, that server is used.
// DATABASE_URL is ignored, because tests must never touch a database in use.
//
// Unless it is set, TEST_RUN differs in each run. go test takes no result from its cache
// for a test that reads another value than before, such as one that builds another module.
//
// The exit status is the command's, or 128 plus the signal number if a signal ended
// it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"example.com/pizza/pkg/testkit/pgserver"
)

const variable = "TEST_DATABASE_URL"

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "withpostgres:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func run(command []string) (status int, err error) {
	if len(command) == 0 {
		return 2, errors.New("no command to run: withpostgres COMMAND [ARGUMENT]")
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	env := append([]string{"TEST_RUN=" + time.Now().Format(time.RFC3339Nano)}, os.Environ()...) // the last one counts
	if os.Getenv(variable) != "" {
		return runCommand(command, env, signals)
	}
	server, err := start()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	return runCommand(command, append(env, variable+"="+server.URL("postgres")), signals)
}

// start starts the server; a signal interrupts it.
func start() (*pgserver.Server, error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return pgserver.Start(ctx, pgserver.Options{Settings: pgserver.TestSettings(), Log: os.Stderr})
}

// runCommand runs the command, forwards signals to it, and returns its exit status.
// The command decides how to handle a signal. The server runs until the command has
// ended.
func runCommand(command, env []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.CommandContext(context.Background(), command[0], command[1:]...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			if err := cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return 1, fmt.Errorf("hand on signal %s: %w", s, err)
			}
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 1, err
			}
			state := cmd.ProcessState.Sys().(syscall.WaitStatus)
			if state.Signaled() {
				return 128 + int(state.Signal()), nil
			}
			return state.ExitStatus(), nil
		}
	}
}
