package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

	"example.com/pizza/migrations"
)

// errNotReconciled is the verdict of reconcile that orders are missing or changed.
var errNotReconciled = errors.New("orders or lines of the snapshot are missing or changed")

// reconcile writes a snapshot of the orders, or compares them with one.
func (c command) reconcile(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	write, compare := flags.String("snapshot", "", ""), flags.String("compare", "", "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	if (*write == "") == (*compare == "") {
		return usageError{"reconcile: either --snapshot FILE or --compare FILE is needed"}
	}
	dsn, err := c.dsn()
	if err != nil {
		return err
	}
	var before migrations.Snapshot
	if *compare != "" {
		if before, err = readSnapshot(*compare); err != nil {
			return usageError{"reconcile: " + err.Error()}
		}
	}
	now, err := migrations.TakeSnapshot(ctx, dsn)
	if err != nil {
		return err
	}
	if *write != "" {
		var text bytes.Buffer
		if err := encode(&text, now); err != nil {
			return err
		}
		if err := os.WriteFile(*write, text.Bytes(), 0o600); err != nil {
			return err
		}
		_, err := fmt.Fprintf(c.stdout, "wrote %s\n", describe(now))
		return err
	}
	diffs := before.Compare(now)
	missing := slices.ContainsFunc(diffs, migrations.DayDiff.Missing)
	if *asJSON {
		err = encode(c.stdout, struct {
			Same bool                 `json:"reconciled"`
			Days []migrations.DayDiff `json:"days"`
		}{!missing, diffs})
	} else {
		err = c.tellReconcile(before, diffs)
	}
	if missing {
		err = errors.Join(err, errNotReconciled)
	}
	return err
}

func readSnapshot(file string) (s migrations.Snapshot, err error) {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	if s.Days == nil {
		return s, fmt.Errorf("%s is no snapshot", file)
	}
	return s, nil
}

// describe returns "21350 orders with 48620 lines of 49574 pizzas on 358 days".
func describe(s migrations.Snapshot) string {
	var sum migrations.DayCount
	for _, d := range s.Days {
		sum.Orders += d.Orders
		sum.Lines += d.Lines
		sum.Pizzas += d.Pizzas
	}
	return fmt.Sprintf("%d orders with %d lines of %d pizzas on %d days", sum.Orders, sum.Lines, sum.Pizzas, len(s.Days))
}

func (c command) tellReconcile(before migrations.Snapshot, diffs []migrations.DayDiff) error {
	out := newTable(c.stdout)
	missing := 0
	if len(diffs) > 0 {
		out.row("DAY", "ORDERS", "LINES", "PIZZAS", "ADDED", "")
	}
	for _, d := range diffs {
		lost := ""
		if d.Missing() {
			missing++
			lost = fmt.Sprintf("MISSING or changed: %d orders, %d lines", d.MissingOrders, d.MissingLines)
		}
		out.row(d.Day, change(d.Before.Orders, d.After.Orders), change(d.Before.Lines, d.After.Lines),
			change(d.Before.Pizzas, d.After.Pizzas), fmt.Sprintf("%d orders, %d lines", d.AddedOrders, d.AddedLines), lost)
	}
	err := out.flush()
	text := fmt.Sprintf("all there and unchanged: %s", describe(before))
	if missing > 0 {
		text = fmt.Sprintf("%d days lack rows of the snapshot's %s", missing, describe(before))
	}
	_, printed := fmt.Fprintln(c.stdout, text)
	return errors.Join(err, printed)
}

// change returns "5 -> 6", or "5" if nothing has changed.
func change[N int | int64](before, after N) string {
	if before == after {
		return fmt.Sprint(before)
	}
	return fmt.Sprintf("%d -> %d", before, after)
}
