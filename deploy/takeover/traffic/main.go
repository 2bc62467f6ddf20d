// Command traffic shows how the paths of login, menu and order are shared out between the services and an old system:
// it reads what the cluster has, not what the values say (docs/takeover.md#4-shift-the-paths).
//
//	traffic [--namespace NS] [--json]
//
// The exit status is 3 if a side without ready endpoints gets requests, or if objects contradict each other.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], kubectl, os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "traffic: "+err.Error())
	switch {
	case errors.As(err, new(usageError)):
		os.Exit(2)
	case errors.Is(err, errWarned):
		os.Exit(3)
	}
	os.Exit(1)
}

// usageError is an invalid command line.
type usageError struct{ error }

var errWarned = errors.New("there are warnings")

// run is main without process state, for tests.
func run(ctx context.Context, args []string, get getter, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("traffic", flag.ContinueOnError)
	flags.SetOutput(stderr)
	namespace := flags.String("namespace", "", "namespace of the release (default: that of kubectl's context)")
	asJSON := flags.Bool("json", false, "print the report as JSON")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", flags.Arg(0))}
	}
	objects, err := read(ctx, *namespace, get)
	if err != nil {
		return err
	}
	report := examine(objects)
	if *asJSON {
		err = writeJSON(stdout, report)
	} else {
		_, err = io.WriteString(stdout, report.text())
	}
	if err == nil && len(report.Warnings) > 0 {
		return errWarned
	}
	return err
}

func writeJSON(w io.Writer, report *Report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
