package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"example.com/pizza/migrations"
)

func (c command) status(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("status", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	dsn, err := c.dsn()
	if err != nil {
		return err
	}
	list, err := migrations.Status(ctx, dsn)
	if err != nil {
		return err
	}
	if *asJSON {
		return encode(c.stdout, list)
	}
	out := newTable(c.stdout)
	out.row("OWNER", "VERSION", "MIGRATION", "APPLIED")
	pending, unknown := 0, 0
	for _, m := range list {
		applied, name := "pending", m.Name
		if m.AppliedAt != nil {
			applied = m.AppliedAt.UTC().Format(time.DateTime) + " UTC"
		} else {
			pending++
		}
		if m.Unknown() {
			unknown++
			name = "(of a newer program)"
		}
		out.row(string(m.Owner), version(m.Version), name, applied)
	}
	if err := out.flush(); err != nil {
		return err
	}
	text := fmt.Sprintf("%d applied, %d pending", len(list)-pending, pending)
	if unknown > 0 {
		text += fmt.Sprintf("; the schema is newer than this program by %d migrations", unknown)
	}
	_, err = fmt.Fprintln(c.stdout, text)
	return err
}

// table prints rows with aligned columns.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer) table { return table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)} }

// row adds a row; flush reports write errors.
func (t table) row(cells ...string) { _, _ = fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t table) flush() error { return t.w.Flush() }
