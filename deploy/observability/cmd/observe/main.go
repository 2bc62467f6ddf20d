// Command observe monitors the system of `make run`. A Prometheus with the rules of
// the chart scrapes it, an OTLP endpoint receives spans, and web pages show both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/deploy/observability"
	"example.com/pizza/deploy/observability/prometheus"
	"example.com/pizza/deploy/observability/tool"
	"example.com/pizza/deploy/observability/traces"
	"example.com/pizza/deploy/observability/viewer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "observe: "+err.Error())
	if errors.As(err, new(usageError)) {
		os.Exit(2)
	}
	os.Exit(1)
}

// usageError is an invalid command line.
type usageError struct{ error }

// run is main without process state, for tests.
func run(ctx context.Context, args []string, out io.Writer) error {
	root, err := tool.Root()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("observe", flag.ContinueOnError)
	data := flags.String("data", os.Getenv("DATA"), "folder of the data of make run (default that of the system that runs in .local)")
	program := flags.String("prometheus", os.Getenv("PROMETHEUS"), "path of an installed prometheus, whose pages come with it; empty builds one")
	currency := flags.String("currency", os.Getenv("CURRENCY"), "symbol of the currency of the menu, such as $")
	page := flags.String("page", "localhost:9091", "address of the pages")
	metrics := flags.String("metrics", "localhost:9090", "address of Prometheus")
	spans := flags.String("spans", "localhost:4318", "address that takes spans, by OTLP over HTTP")
	err = flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return usageError{err}
	}
	watched, note, err := choose(root, *data)
	if err != nil {
		return err
	}
	if *program == "" {
		if *program, err = tool.Build(ctx, "prometheus", out); err != nil {
			return err
		}
	}

	server, err := prometheus.Start(ctx, prometheus.Options{
		Program: *program, Folder: filepath.Join(watched, "prometheus"), Targets: filepath.Join(watched, stack.TargetsFile),
		Rules: filepath.Join(root, observability.Rules, "*.yaml"), Every: 5 * time.Second, Address: *metrics, Log: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Stop() }() // it has exited or is exiting
	store := &traces.Store{}
	failed := make(chan error, 2)
	take := http.NewServeMux()
	take.Handle("POST /v1/traces", store)
	spansURL, stop, err := serve(ctx, *spans, take, failed)
	if err != nil {
		return err
	}
	defer stop()
	hint := "Have the services send them: make run OTEL_EXPORTER_OTLP_ENDPOINT=" + spansURL
	pages := &viewer.Viewer{
		Prometheus: server, Traces: store, Root: os.DirFS(root), Targets: filepath.Join(watched, stack.TargetsFile),
		Namespace: "local", Currency: *currency, Hint: hint,
	}
	pageURL, stop, err := serve(ctx, *page, pages.Handler(), failed)
	if err != nil {
		return err
	}
	defer stop()
	if note != "" {
		note = "\n" + note + "\n"
	}
	if err := say(out, `%s
  watches                      %s
  alerts, dashboards, traces   %s
  Prometheus                   %s
  spans are taken at           %s

%s

There is no Grafana here. One that you have can import helm/pizza/files/dashboards/*.json,
with %s as its Prometheus.

Ctrl-C stops it.
`, note, watched, pageURL, server.URL, spansURL, hint, server.URL); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-server.Ended():
		return errors.New("prometheus exited unexpectedly")
	case err := <-failed:
		return err
	}
}

// serve serves at an address until stop is called.
func serve(ctx context.Context, address string, handler http.Handler, failed chan<- error) (url string, stop func(), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}

func say(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format, args...)
	return err
}
