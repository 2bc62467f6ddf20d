// Command bench measures the system against yardsticks on the same machine, and compares
// the result with an earlier one. See package loadtest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"example.com/pizza/deploy/loadtest"
	"example.com/pizza/deploy/observability/tool"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "bench: "+err.Error())
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

// usageError is an invalid command line.
type usageError struct{ error }

// errWorse makes the command fail.
var errWorse = errors.New("worse than before")

// arguments are the checked command line.
type arguments struct {
	loadtest.Options
	json, page string
	base       *loadtest.Report // nil compares with nothing
}

// run is main without process state, for tests.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	a, err := parse(args, getenv, stderr)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if a.Root, err = tool.Root(); err != nil {
		return err
	}
	result, err := measure(ctx, a.Options)
	if err != nil {
		return err
	}
	if err := loadtest.Save(result, a.json, a.page); err != nil {
		return err
	}
	if err := result.Write(stdout); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "\n%s  %s\n", a.json, a.page); err != nil {
		return err
	}
	report, ok := result.(*loadtest.Report)
	if !ok || a.base == nil {
		return result.Err()
	}
	if _, err := fmt.Fprintln(stdout); err != nil {
		return err
	}
	worse, err := loadtest.Compare(stdout, a.base, report)
	if err == nil && worse {
		return errWorse
	}
	return err
}

func measure(ctx context.Context, o loadtest.Options) (loadtest.Result, error) {
	switch {
	case o.Soak > 0:
		return loadtest.RunSoak(ctx, o)
	case o.Growth > 0:
		return loadtest.RunGrowth(ctx, o)
	default:
		return loadtest.Run(ctx, o)
	}
}

// parse reads and checks everything that can be checked before a run.
func parse(args []string, getenv func(string) string, stderr io.Writer) (*arguments, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.String("rounds", or(getenv("ROUNDS"), "6"), "measurements of each path; 6 and more have an interval of confidence")
	round := flags.String("round", or(getenv("ROUND"), "2s"), "length of each measurement; pgbench takes whole seconds")
	replay := flags.String("replay", getenv("REPLAY"), "day also replays the busiest day of the real year in a minute")
	soak := flags.String("soak", getenv("SOAK"), "run at 70% of the capacity for so long instead, such as 30m")
	growth := flags.String("growth", getenv("GROWTH"), "measure with up to so many real years instead, 10 or 100")
	base := flags.String("base", getenv("BASE"), "JSON file of an earlier run to compare with")
	asJSON := flags.String("json", getenv("JSON"), "file for all measurements, with plots beside it (default in .local/bench)")
	page := flags.String("html", getenv("HTML"), "file for the page with the plots (default in .local/bench)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	a := &arguments{}
	a.Progress = stderr
	n, err := strconv.Atoi(*rounds)
	if err != nil || n < 1 || n > 100 {
		return nil, fmt.Errorf("rounds %q is not a number from 1 to 100", *rounds)
	}
	a.Rounds = n
	if a.Round, err = time.ParseDuration(*round); err != nil || a.Round < 100*time.Millisecond || a.Round > time.Minute {
		return nil, fmt.Errorf("round %q is not a duration from 100ms to 1m, such as 2s", *round)
	}
	if *replay != "" && *replay != "day" {
		return nil, fmt.Errorf("replay %q is not day", *replay)
	}
	a.Replay = *replay == "day"
	name := "bench"
	if *soak != "" {
		name = "soak"
		if a.Soak, err = time.ParseDuration(*soak); err != nil || a.Soak < 10*time.Second || a.Soak > 24*time.Hour {
			return nil, fmt.Errorf("soak %q is not a duration from 10s to 24h, such as 30m", *soak)
		}
	}
	if *growth != "" {
		name = "growth"
		if a.Growth, err = strconv.Atoi(*growth); err != nil || a.Growth != 10 && a.Growth != 100 {
			return nil, fmt.Errorf("growth %q is not 10 or 100", *growth)
		}
	}
	a.json = or(*asJSON, filepath.Join(".local", "bench", name+".json"))
	a.page = or(*page, filepath.Join(".local", "bench", name+".html"))
	if *base != "" {
		if a.base, err = loadtest.ReadJSON(*base); err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
	}
	return a, nil
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
