package parity

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const width = 80 // of a terminal

// Write writes the report for people.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	const row = "%-32s %9v %6v %9v %10v %7v\n"
	writeRow := func(name string, c Counts) {
		fmt.Fprintf(&b, row, name, c.Requests, c.Same, c.Intended, c.Different, c.Failed)
	}
	fmt.Fprintf(&b, row, "ROUTE", "REQUESTS", "SAME", "INTENDED", "DIFFERENT", "FAILED")
	for _, route := range r.Routes {
		writeRow(short(route.Route, 32), route.Counts)
	}
	writeRow("all", r.Totals)
	for _, route := range r.Routes {
		if route.Worst != nil {
			route.Worst.write(&b)
		}
	}
	r.writeRules(&b)
	if r.LeftOut > 0 {
		fmt.Fprintf(&b, "\n%d requests were not sent: writes, or nothing to compare\n", r.LeftOut)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "\n%d reads were dropped, because the new system is too slow to follow\n", r.Dropped)
	}
	fmt.Fprintf(&b, "\n%s: %s and %s\n", r.Verdict(), r.Old, r.New)
	_, err := io.WriteString(w, b.String())
	return err
}

// Verdict is the report in a word.
func (r *Report) Verdict() string {
	switch {
	case r.Parity:
		return "parity"
	case r.Totals.Different > 0:
		return "different"
	case r.Totals.Failed > 0:
		return "failed"
	default:
		return "nothing was compared"
	}
}

func (r *Result) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s\n", short(r.Method+" "+r.Path+named(r.Name), width))
	if r.Error != "" {
		b.WriteString(wrap("  ", r.Error))
	}
	for _, d := range r.Differences {
		if d.Reason != "" {
			continue
		}
		times := ""
		if d.Count > 1 {
			times = fmt.Sprintf(" (%d times)", d.Count)
		}
		fmt.Fprintf(b, "  %s%s\n", short(d.What, 40), map[string]string{
			"value": "", "order": ": the order", "length": ": the length", "unicode": ": the Unicode form",
		}[d.Kind]+times)
		fmt.Fprintf(b, "    old %s\n    new %s\n", d.Old, d.New)
	}
	for line := range strings.Lines(r.Diff) {
		fmt.Fprintf(b, "    %s\n", short(strings.TrimRight(line, "\n"), width-4))
	}
}

func named(name string) string {
	if name == "" {
		return ""
	}
	return " (" + name + ")"
}

// writeRules lists the reasons of intended differences, and the rules that are stale.
func (r *Report) writeRules(b *strings.Builder) {
	heading := "\nintended\n"
	for _, u := range r.Rules {
		if u.Matched > 0 {
			b.WriteString(heading)
			b.WriteString(wrap(fmt.Sprintf("%7d  ", u.Matched), u.Reason))
			heading = ""
		}
	}
	heading = "\nwarning: rules that matched nothing\n"
	for _, u := range r.Rules {
		if u.Stale() {
			b.WriteString(heading)
			b.WriteString(wrap("         ", strings.Join(u.What, ", ")+": "+u.Reason))
			heading = ""
		}
	}
}

// wrap breaks text into lines that all begin in the column after lead.
func wrap(lead, text string) string {
	var b strings.Builder
	line := lead
	empty := true
	for _, word := range strings.Fields(text) {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line, empty = strings.Repeat(" ", utf8.RuneCountInString(lead)), true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	return b.String() + line + "\n"
}
