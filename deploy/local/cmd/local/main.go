// Command local runs the whole system on this machine: `local run` (make run),
// `local clean` (make clean).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `usage: local run [--port 8000] [--host ADDRESS] [--data .local] [--events postgres|nats]
                 [--restart-after 20s] [--json]
       local clean [--data FOLDER]

run    starts PostgreSQL, the three services and the gateway, and shows their
       logs until Ctrl-C. --host is the address to listen on; without it, only
       this machine reaches the stack. --events nats starts a NATS server and has
       it carry the events. --restart-after is the pause before a service that
       ended is started again. --json shows the logs as they are written, and no
       kitchen tickets.
clean  forgets the data in the folder: the next run starts from an empty database.
       Without --data, that is the data in .local, and all that was built.

Environment: PORT, BIND, DATA, EVENTS and RESTART_AFTER stand for --port, --host,
--data, --events and --restart-after; EVENTS_URL is an existing NATS server;
DATABASE_URL is an existing PostgreSQL server, as its superuser: the database
"pizza" and the services' roles are created in it; NO_COLOR; and what the
services read, such as LOG_LEVEL.

Exit status: 0 stopped, 1 failed, 2 wrong usage.
`

// usageError is an invalid command line.
type usageError struct{ error }

// parse parses flags and rejects other arguments.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return usageError{fmt.Errorf("%s: %w\n%s", flags.Name(), err, usage)}
	}
	return nil
}

func main() {
	if err := run(context.Background(), os.Args[1:], os.Getenv, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "local: "+err.Error())
		if errors.As(err, new(usageError)) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// run is main without process state, for tests.
func run(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	var err error
	switch args[0] {
	case "run":
		err = up(ctx, args[1:], getenv, stdout)
	case "clean":
		err = clean(args[1:], getenv, stdout) //nolint:contextcheck,nolintlint // it is quick, and half done helps nobody; the linter sees it or not by what it has cached
	case "help", "-h", "--help":
		_, err = io.WriteString(stdout, usage)
	default:
		return usageError{fmt.Errorf("unknown command %q\n%s", args[0], usage)}
	}
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(stdout, usage)
	}
	return err
}
