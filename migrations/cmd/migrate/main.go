// Command migrate prepares the database of the pizza services: roles, schema,
// seed data. The Helm hook Job and `make run` use it; see `migrate --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"example.com/pizza/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "migrate:", err)
	}
	os.Exit(exitStatus(err))
}

// exitStatus tells a failure that another try can cure, 1, from one that it cannot, 2,
// and from the verdict of preflight or reconcile, 3.
func exitStatus(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(usageError)), errors.As(err, new(migrations.SettingsError)):
		return 2
	case errors.Is(err, errNoGo), errors.Is(err, errNotReconciled):
		return 3
	default:
		return 1
	}
}
