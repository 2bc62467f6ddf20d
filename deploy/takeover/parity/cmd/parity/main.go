// Command parity compares the answers of the old system and of the services. See package parity.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/takeover/parity"
	"example.com/pizza/pkg/secret"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "parity: "+err.Error())
	switch {
	case errors.As(err, new(usageError)):
		os.Exit(2)
	case errors.Is(err, errDifferent):
		os.Exit(3)
	}
	os.Exit(1)
}

// usageError is an invalid command line, or an invalid file that it names.
type usageError struct{ error }

var (
	errDifferent = errors.New("the answers differ")
	errFailed    = errors.New("not everything was compared")
)

const (
	// maxReplayed and maxMirrored bound answers in memory, of which a mirror has more.
	maxReplayed = 16 << 20
	maxMirrored = 1 << 20
	// grace bounds how long a stopped mirror waits for requests in flight.
	grace = 10 * time.Second
)

// arguments are the checked command line.
type arguments struct {
	parity.Options
	listen, report string
	html           string
	json           bool
	requests       []parity.Request
	leftOut        int
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
	var report *parity.Report
	if a.listen != "" {
		report, err = mirror(ctx, a, stderr)
	} else {
		report, err = parity.Replay(ctx, a.Options, a.requests, a.leftOut)
	}
	if report != nil {
		err = errors.Join(err, write(report, a, stdout))
	}
	switch {
	case err != nil:
		return err
	case report.Totals.Different > 0:
		return errDifferent
	case !report.Parity:
		return errFailed
	}
	return nil
}

// parse reads and checks everything that can be checked before the first request.
func parse(args []string, getenv func(string) string, stderr io.Writer) (*arguments, error) {
	a := &arguments{}
	flags := flag.NewFlagSet("parity", flag.ContinueOnError)
	flags.SetOutput(stderr)
	old := flags.String("old", "", "address of the old system, such as http://django:8000")
	ours := flags.String("new", "", "address of the services, such as http://localhost:8000")
	requests := flags.String("requests", "", "file with recorded requests, as JSON Lines")
	rules := flags.String("rules", "", "file with intended differences (default: those of the contract)")
	logins := flags.String("logins", "", "YAML file with the password of each member (default: what PARITY_LOGINS has)")
	flags.StringVar(&a.html, "html", "", "file for the report as a page")
	flags.BoolVar(&a.json, "json", false, "print the report as JSON")
	writes := flags.Bool("writes", false, "replay writes too: each one happens on both systems")
	flags.DurationVar(&a.Timeout, "timeout", 10*time.Second, "longest wait for an answer")
	flags.DurationVar(&a.Again, "again", 2*time.Second, "pause before a read that differs is sent once more")
	flags.IntVar(&a.Concurrency, "concurrency", 4, "requests at the same time")
	flags.StringVar(&a.listen, "listen", "", "address of the mirror, such as :8000, instead of --requests")
	flags.StringVar(&a.report, "report", "127.0.0.1:8091", "address of the mirror's report; not for customers")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if (*requests == "") == (a.listen == "") {
		return nil, errors.New("either --requests or --listen is required")
	}
	if a.listen != "" && *writes {
		return nil, errors.New("a mirror never repeats writes")
	}
	if a.Concurrency < 1 || a.Concurrency > 64 || a.Timeout <= 0 || a.Again < 0 {
		return nil, errors.New("concurrency must be 1 to 64, timeout positive, and again not negative")
	}
	var err error
	if a.Old, err = parity.ParseBase(*old); err != nil {
		return nil, fmt.Errorf("old %w", err)
	}
	if a.New, err = parity.ParseBase(*ours); err != nil {
		return nil, fmt.Errorf("new %w", err)
	}
	if a.Rules, err = parity.ReadRules(*rules); err != nil {
		return nil, err
	}
	a.MaxBody = maxMirrored
	if a.listen != "" {
		return a, nil
	}
	a.MaxBody = maxReplayed
	if a.Logins, err = readLogins(*logins, getenv); err != nil {
		return nil, err
	}
	return a, a.read(*requests, *writes)
}

// read reads the requests, and checks that each member of them can log in.
func (a *arguments) read(name string, writes bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if a.requests, a.leftOut, err = parity.ReadRequests(f, writes); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, q := range a.requests {
		if q.As != "" && a.Logins[q.As] == "" {
			return fmt.Errorf("%s: there is no password of %q in --logins or PARITY_LOGINS", name, q.As)
		}
	}
	return nil
}

// readLogins reads passwords by member id. Errors do not quote them.
func readLogins(name string, getenv func(string) string) (map[string]secret.Text, error) {
	content := []byte(getenv("PARITY_LOGINS"))
	if name != "" {
		var err error
		if content, err = os.ReadFile(name); err != nil {
			return nil, err
		}
	}
	var logins map[string]string
	if yaml.Unmarshal(content, &logins) != nil {
		return nil, errors.New("logins must be lines of the form member: password")
	}
	secrets := map[string]secret.Text{}
	for id, password := range logins {
		secrets[id] = secret.Text(password)
	}
	return secrets, nil
}

func write(report *parity.Report, a *arguments, stdout io.Writer) error {
	if a.html != "" {
		f, err := os.OpenFile(a.html, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // it quotes answers to members
		if err != nil {
			return err
		}
		if err := errors.Join(report.WritePage(f), f.Close()); err != nil {
			return err
		}
	}
	if !a.json {
		return report.Write(stdout)
	}
	e := json.NewEncoder(stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(report)
}

// mirror serves until ctx ends, and returns what was seen.
func mirror(ctx context.Context, a *arguments, stderr io.Writer) (*parity.Report, error) {
	listen := func(address string) (net.Listener, error) { return new(net.ListenConfig).Listen(ctx, "tcp", address) }
	public, err := listen(a.listen)
	if err != nil {
		return nil, err
	}
	internal, err := listen(a.report)
	if err != nil {
		return nil, errors.Join(err, public.Close())
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	m := parity.NewMirror(ctx, a.Options, log)
	log.InfoContext(ctx, "the mirror serves",
		"address", public.Addr().String(), "report", "http://"+internal.Addr().String()+"/")
	serving, cancel := context.WithCancel(ctx)
	defer cancel()
	var group errgroup.Group
	for l, handler := range map[net.Listener]http.Handler{public: m, internal: m.Report()} {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		group.Go(func() error {
			defer cancel() // one does not serve without the other
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		})
		group.Go(func() error {
			<-serving.Done()
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
			defer cancel()
			if server.Shutdown(stop) != nil {
				return server.Close()
			}
			return nil
		})
	}
	err = group.Wait()
	return m.Stop(), err
}
