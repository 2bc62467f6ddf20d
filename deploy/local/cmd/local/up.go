package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"

	"example.com/pizza/deploy/local/internal/console"
	"example.com/pizza/deploy/local/internal/datadir"
	"example.com/pizza/deploy/local/internal/guide"
	"example.com/pizza/deploy/local/internal/listen"
	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/migrations"
	"example.com/pizza/pkg/testkit/pgserver"
)

const (
	defaultPort = "8000"
	stopTimeout = 15 * time.Second // for requests in flight; a second Ctrl-C ends the wait
)

// up runs the stack until a signal arrives or a component fails.
func up(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	flags := newFlags("local run")
	port := flags.String("port", or(getenv("PORT"), defaultPort), "port of the gateway; 0 takes a free one")
	host := flags.String("host", getenv("BIND"), "address of the gateway; empty is this machine alone")
	data := flags.String("data", getenv("DATA"), "folder for the data (default .local in the repository)")
	restart := flags.String("restart-after", or(getenv("RESTART_AFTER"), stack.DefaultRestartAfter.String()), "pause before an exited service is restarted")
	transport := flags.String("events", or(getenv("EVENTS"), "postgres"), "event transport: postgres, or nats (starts a server)")
	asJSON := flags.Bool("json", false, "show the logs as the services write them")
	if err := parse(flags, args); err != nil {
		return err
	}
	address, err := hostOf(*host)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(*port, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q is not a number from 0 to 65535", *port)
	}
	if *transport != "postgres" && *transport != "nats" {
		return fmt.Errorf("events %q is neither postgres nor nats", *transport)
	}
	pause, err := time.ParseDuration(*restart)
	if err != nil || pause <= 0 {
		return fmt.Errorf("restart-after %q is not a positive duration, such as 10s", *restart)
	}
	root, err := repository()
	if err != nil {
		return err
	}
	// make built this program into .local, possibly under a strict umask.
	if err := pgserver.LetIn(filepath.Join(root, ".local")); err != nil {
		return err
	}

	// A closed terminal or pipe shows at the next write. Its signal would end this
	// program before everything is stopped.
	signal.Ignore(syscall.SIGPIPE)
	interrupted, forced, stop := signals(ctx)
	defer stop()

	color := isTerminal(stdout) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
	out := console.New(stdout, console.Options{JSON: *asJSON, Color: color})
	tickets := io.Discard
	if !*asJSON {
		tickets = out
	}
	start := time.Now()
	s, err := stack.Start(interrupted, stack.Options{
		Root: root, DataDir: dataDir(root, *data), Host: address, Port: int(number), RestartAfter: pause,
		DatabaseURL: getenv("DATABASE_URL"), NATS: *transport == "nats", EventsURL: getenv("EVENTS_URL"),
		Progress: out, Tickets: tickets, Line: out.Line,
	})
	if interrupted.Err() != nil && errors.Is(err, context.Canceled) {
		_ = say(out, "stopped before it was up")
		return nil
	}
	if err != nil {
		return explain(err)
	}
	ended := guide.Write(out, information(s, start, color))
	if ended == nil {
		out.Release()
		select {
		case <-interrupted.Done():
		case <-out.Broken():
		case err := <-s.Failed():
			ended = explain(err)
		}
	}
	_ = say(out, "stopping; press Ctrl-C again to stop without waiting for requests in flight")
	ctx, cancel := context.WithTimeout(forced, stopTimeout)
	defer cancel()
	ended = errors.Join(ended, s.Stop(ctx))
	_ = say(out, "stopped")
	return ended
}

// say prints a message. It fails when the reader is gone, which run ignores.
func say(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format+"\n", args...)
	return err
}

// hostOf returns the address or name in --host. An IPv6 address may be in
// brackets, as in a URL.
func hostOf(host string) (string, error) {
	inner := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		inner = host[1 : len(host)-1]
		if ip, err := netip.ParseAddr(inner); err != nil || !ip.Is6() {
			inner = "[]"
		}
	}
	_, err := netip.ParseAddr(inner)
	if err != nil && strings.ContainsAny(inner, ":[]/@ ") {
		return "", fmt.Errorf("host %q is neither an address, such as 0.0.0.0 or ::1, nor a name; --port gives the port", host)
	}
	return inner, nil
}

// newFlags returns a flag set that prints nothing: main prints the errors.
func newFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// signals returns a context that ends at the first termination signal, and one
// that ends at a later Ctrl-C. The Ctrl-C after that has its usual effect.
func signals(ctx context.Context) (interrupted, forced context.Context, stop func()) {
	interrupted, interrupt := context.WithCancel(ctx)
	forced, force := context.WithCancel(ctx)
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // ignored under nohup
		signal.Notify(c, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		if watch(c, done, interrupt, force) {
			signal.Stop(c)
		}
	}()
	return interrupted, forced, func() {
		signal.Stop(c)
		close(done)
		interrupt()
		force()
	}
}

// watch calls interrupt at the first signal and force at a later Ctrl-C. It
// reports whether it called force before done was closed. Only Ctrl-C forces:
// SIGTERM and SIGHUP can arrive twice for one request, through the process group
// and from make.
func watch(c <-chan os.Signal, done <-chan struct{}, interrupt, force func()) bool {
	interrupted := false
	for {
		select {
		case s := <-c:
			if interrupted && s == os.Interrupt {
				force()
				return true
			}
			interrupted = true
			interrupt()
		case <-done:
			return false
		}
	}
}

// explain adds advice for the user to an error.
func explain(err error) error {
	const other = "make run PORT=8080"
	var taken *listen.TakenError
	var died *stack.DiedError
	switch {
	case errors.As(err, &taken):
		return fmt.Errorf("%w\n  choose another one:  %s", err, other)
	case errors.Is(err, datadir.ErrInUse):
		return fmt.Errorf("the stack runs already: %w\n  stop it, or start a second one beside it:  %s DATA=.local/second", err, other)
	case errors.As(err, &died):
		return fmt.Errorf("%w; its last lines:\n%s", err, console.Text(died.Service, died.Tail))
	default:
		return err
	}
}

func information(s *stack.Stack, start time.Time, bold bool) guide.Info {
	i := guide.Info{
		URL: s.URL(), Database: s.AdminDSN(), Secrets: s.SecretsFile(), DemoID: migrations.DemoMember, DemoPW: migrations.DemoPassword, Branch: migrations.DemoBranch,
		TookToRun: fmt.Sprintf("%.1f s", time.Since(start).Seconds()), Bold: bold,
	}
	if !s.OwnDatabase() { // the password is the user's
		if u, err := url.Parse(i.Database); err == nil {
			i.Database = u.Redacted()
		}
	}
	for _, service := range s.Services() {
		i.Services = append(i.Services, guide.Service{Name: service.Name, Public: service.Public, Internal: service.Internal, Metrics: service.Metrics})
	}
	return i
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
