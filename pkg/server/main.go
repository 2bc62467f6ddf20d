package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"example.com/pizza/pkg/logging"
)

// Main is the main function of a service. It runs until SIGTERM or Ctrl-C, and exits
// with 1 and the reason if run fails. A second signal ends the process at once. A
// service takes no arguments; with any in args it exits with 2. stdout is a
// logging.Buffer, which is empty once the process has ended.
func Main(name string, args []string, run func(ctx context.Context, environ []string, stdout io.Writer) error) {
	if len(args) > 0 {
		fmt.Fprintf(os.Stderr, "%s: unexpected argument %q: the configuration is in environment variables, which docs/configuration.md lists\n", name, args[0])
		os.Exit(2)
	}
	// Collect garbage before the container's memory limit is reached. Without a
	// limit, or on a system without control groups, nothing changes.
	_, _ = memlimit.Set()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	stdout := logging.NewBuffer(os.Stdout)
	if err := errors.Join(run(ctx, os.Environ(), stdout), stdout.Close()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
