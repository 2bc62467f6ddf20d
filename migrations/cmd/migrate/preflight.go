package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/takeover"
)

// errNoGo is the verdict of preflight that nothing may begin.
var errNoGo = errors.New("no go: nothing was changed; see the lines with stop")

// preflight examines a live database of the old system.
func (c command) preflight(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("preflight", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	dsn, err := c.dsn()
	if err != nil {
		return err
	}
	report, err := migrations.Preflight(ctx, dsn, func(part string) { _, _ = fmt.Fprintf(c.stderr, "examining %s\n", part) })
	if err != nil {
		return err
	}
	if *asJSON {
		err = encode(c.stdout, struct {
			Go bool `json:"go"`
			takeover.Report
		}{report.Go(), report})
	} else {
		err = printPreflight(c.stdout, report)
	}
	if err == nil && !report.Go() {
		err = errNoGo
	}
	return err
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// width is the width of the terminal that text is wrapped for.
const width = 80

func printPreflight(w io.Writer, r takeover.Report) error {
	if r.Empty() && r.Go() {
		_, err := fmt.Fprintf(w, "go: the database %s has no table of the old system; `migrate roles` and `migrate up` create all\n", r.Database)
		return err
	}
	return printReport(w, r, "go: next is `migrate roles`, and then `migrate up`")
}

// printReport prints tables, plan and findings, and next if they let it begin.
func printReport(w io.Writer, r takeover.Report, next string) error {
	out := newTable(w)
	out.row("TABLE", "OWNER", "ROWS, ABOUT", "MIB")
	for _, t := range r.Tables {
		out.row(t.Name, t.Owner, fmt.Sprint(t.Rows), fmt.Sprintf("%.1f", float64(t.Bytes)/(1<<20)))
	}
	if err := out.flush(); err != nil {
		return err
	}
	if len(r.Plan) > 0 {
		out.row("\nMIGRATION", "TABLE", "WHAT WAITS, AND HOW LONG")
		for _, l := range r.Plan {
			out.row(l.Migration, l.Table, l.Waits)
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	var text strings.Builder
	for _, f := range r.Findings {
		rows := ""
		switch f.Rows {
		case 0:
		case 1:
			rows = " (1 row)"
		default:
			rows = fmt.Sprintf(" (%d rows)", f.Rows)
		}
		fmt.Fprintf(&text, "\n%-4s  %s: %s%s\n", f.Level, f.Object, f.Check, rows)
		text.WriteString(wrap(f.Found, "      "))
		if f.Remedy != "" {
			text.WriteString(wrap("-> "+f.Remedy, "      "))
		}
	}
	if r.Go() {
		text.WriteString("\n" + next + "\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// wrap breaks text into indented lines.
func wrap(text, indent string) string {
	var b strings.Builder
	column := width
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if column+1+n > width {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(indent)
			column = len(indent)
		} else {
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String() + "\n"
}
