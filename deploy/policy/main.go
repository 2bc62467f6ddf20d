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
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "policy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) (err error) {
	flags := flag.NewFlagSet("policy", flag.ContinueOnError)
	root := flags.String("root", ".", "the repository; helm, kyverno and cosign are in its .local/bin")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	keys, err := os.MkdirTemp("", "keys")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(keys)) }()
	gate, err := prepare(ctx, *root, filepath.Join(*root, ".local/bin"), keys)
	if err != nil {
		return err
	}
	defer gate.store.close()

	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	lines := []string{"CASE\tPOD\tEXPECTED\tSEEN\tWHAT KYVERNO SAYS"}
	var wrong []error
	for _, c := range gate.cases() {
		verdicts, err := judge(ctx, gate.store.bin, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for _, pod := range c.pods {
			name := nameOf(pod)
			v := verdicts[name]
			lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", c.name, name, c.expected, v.result, v.message))
			if v.result != c.expected {
				wrong = append(wrong, fmt.Errorf("%s: %s: expected %q, got %q (%s)", c.name, name, c.expected, v.result, v.message))
			}
		}
	}
	_, err = fmt.Fprintln(table, strings.Join(lines, "\n"))
	return errors.Join(append([]error{err, table.Flush()}, wrong...)...)
}
