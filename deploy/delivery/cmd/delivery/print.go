package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"example.com/pizza/deploy/delivery"
)

// short returns the start of a commit or a digest, enough to identify it.
func short(text string) string {
	text = strings.TrimPrefix(text, "sha256:")
	return text[:min(8, len(text))]
}

func title(p delivery.Plan) string {
	from := p.Source
	if p.Back {
		from = "what ran at " + short(p.Source)
	}
	var names []string
	for _, c := range p.Changes {
		names = append(names, c.To.Key)
	}
	return fmt.Sprintf("%s: %s of %s", p.Environment, strings.Join(names, ", "), from)
}

// table writes aligned columns.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

func plan(w io.Writer, p delivery.Plan) error {
	rows := [][]string{{"IMAGE", "WAS", "IS", "DIGEST", "COMMITS"}}
	var text strings.Builder
	for _, c := range p.Changes {
		n := fmt.Sprint(len(c.Commits))
		if c.Unknown {
			n = "?"
		}
		rows = append(rows, []string{c.To.Key, c.From.Tag, c.To.Tag, short(c.From.Digest) + " → " + short(c.To.Digest), n})
		if len(c.Commits) > 0 {
			fmt.Fprintf(&text, "\n%s, %s:\n", c.To.Key, word(p))
		}
		for _, commit := range c.Commits {
			fmt.Fprintf(&text, "  %s  %s  %s\n", short(commit.ID), commit.Time.Format("2006-01-02"), commit.Subject)
		}
	}
	if err := table(w, rows); err != nil {
		return err
	}
	if p.Back {
		text.WriteString("\nThe schema stays as it is: a migration of before finds it newer, and leaves it.\n")
	}
	fmt.Fprintf(&text, "\n%s is changed in this checkout. Look at it and commit it:\n\n  git diff\n  git commit -m %q %[1]s\n", delivery.Path(p.Environment), title(p))
	_, err := io.WriteString(w, text.String())
	return err
}

// word returns the direction of the commits between two images.
func word(p delivery.Plan) string {
	if p.Back {
		return "without"
	}
	return "with"
}

// pullRequest writes the plan for its reviewer: the title, an empty line and the text.
func pullRequest(w io.Writer, p delivery.Plan) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n| image | was | is | digest |\n|---|---|---|---|\n", title(p))
	for _, c := range p.Changes {
		fmt.Fprintf(&text, "| %s | %s | %s | `%s` |\n", c.To.Key, c.From.Tag, c.To.Tag, c.To.Digest)
	}
	if p.Back {
		text.WriteString("\nEvery image is signed. The schema stays as it is: a migration of before finds it newer, and leaves it.\n")
	} else if p.Source != "release" {
		fmt.Fprintf(&text, "\nEvery image is signed, and has passed the checks of %s with the chart that it runs with here.\n", p.Source)
	}
	for _, c := range p.Changes {
		if c.Unknown || len(c.Commits) == 0 {
			continue
		}
		fmt.Fprintf(&text, "\n**%s**, %s:\n\n", c.To.Key, word(p))
		for _, commit := range c.Commits {
			fmt.Fprintf(&text, "- %s %s (%s)\n", short(commit.ID), commit.Subject, commit.Author)
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func attested(w io.Writer, c delivery.Checks, images []delivery.Image) error {
	rows := [][]string{{"IMAGE", "TAG", "DIGEST", "HAS PASSED"}}
	for _, i := range images {
		rows = append(rows, []string{i.Key, i.Tag, short(i.Digest), strings.Join(c.Checks, ", ") + " in " + c.Environment})
	}
	return table(w, rows)
}

func ran(w io.Writer, runs []delivery.Run) error {
	rows := [][]string{{"ENVIRONMENT", "IMAGE", "TAG", "DIGEST", "SINCE", "BY", "COMMIT", ""}}
	for _, r := range runs {
		rows = append(rows, []string{
			r.Environment, r.Image.Key, r.Image.Tag, short(r.Image.Digest),
			r.Commit.Time.Local().Format("2006-01-02 15:04"), r.Commit.Author, short(r.Commit.ID), r.Commit.Subject,
		})
	}
	return table(w, rows)
}

func changes(w io.Writer, groups []delivery.Group) error {
	var text strings.Builder
	for _, g := range groups {
		fmt.Fprintf(&text, "### %s\n\n", g.Part)
		for _, c := range g.Commits {
			fmt.Fprintf(&text, "- %s (%s)\n", c.Subject, short(c.ID))
		}
		text.WriteString("\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
