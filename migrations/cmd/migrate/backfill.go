package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"time"

	"example.com/pizza/migrations"
)

func (c command) backfill(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("backfill", flag.ContinueOnError)
	yes, asJSON := flags.Bool("yes", false, ""), flags.Bool("json", false, "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	s, err := load[struct {
		Database Database
		Shop     Shop
	}](c)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(s.Shop.TimeZone)
	if err != nil {
		return err
	}
	b := migrations.Backfill{Zone: zone, DryRun: !*yes, Progress: c.stderr}
	report, err := migrations.FillHistory(ctx, s.Database.dsn(), b)
	if err != nil {
		if report.Filled != (migrations.Gaps{}) {
			err = fmt.Errorf("%w (what is filled stays; run it again for the rest)", err)
		}
		return err
	}
	if *asJSON {
		err = encode(c.stdout, report)
	} else {
		err = c.tellBackfill(report)
	}
	if !report.DryRun && report.Left != (migrations.Gaps{}) {
		err = errors.Join(err, errors.New("values are missing, of rows that were locked or added meanwhile: run it again"))
	}
	return err
}

func (c command) tellBackfill(r migrations.BackfillReport) error {
	out := newTable(c.stdout)
	out.row("COLUMN", "FILLED", "LEFT")
	for _, g := range []struct {
		column       string
		filled, left int
	}{
		{"orders.created_at", r.Filled.Moments, r.Left.Moments},
		{"order_detail.unit_price", r.Filled.Prices, r.Left.Prices},
		{"orders.total_price", r.Filled.Totals, r.Left.Totals},
	} {
		out.row(g.column, fmt.Sprint(g.filled), fmt.Sprint(g.left))
	}
	err := out.flush()
	for _, reason := range slices.Sorted(maps.Keys(r.Unfillable)) {
		_, printed := fmt.Fprintf(c.stdout, "%d stay empty: %s\n", r.Unfillable[reason], reason)
		err = errors.Join(err, printed)
	}
	text := fmt.Sprintf("the history of %d orders is filled", r.Orders)
	switch {
	case r.DryRun:
		text = fmt.Sprintf("examined %d orders; nothing is changed. What is left, --yes fills", r.Orders)
	case r.Left != migrations.Gaps{}:
		text = fmt.Sprintf("examined %d orders", r.Orders)
	}
	_, printed := fmt.Fprintln(c.stdout, text)
	return errors.Join(err, printed)
}
