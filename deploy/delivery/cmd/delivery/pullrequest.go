package main

import (
	"fmt"
	"io"
	"strings"

	"example.com/pizza/deploy/delivery"
)

// title returns what is changed, such as "stg: order, migration of dev".
func title(p delivery.Plan) string {
	from := p.Source
	if p.Back {
		from = "what ran at " + p.Source[:min(8, len(p.Source))]
	}
	var names []string
	for _, c := range p.Changes {
		names = append(names, c.To.Key)
	}
	return fmt.Sprintf("%s: %s of %s", p.Environment, strings.Join(names, ", "), from)
}

// pullRequest writes the plan for its reviewer: the title, an empty line and the text.
func pullRequest(w io.Writer, p delivery.Plan) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n| image | was | is | digest |\n|---|---|---|---|\n", title(p))
	for _, c := range p.Changes {
		fmt.Fprintf(&text, "| %s | %s | %s | `%s` |\n", c.To.Key, c.From.Tag, c.To.Tag, c.To.Digest)
	}
	word := "with"
	if p.Back {
		word = "without"
		text.WriteString("\nEvery image is signed. The schema stays as it is: a migration of before finds it newer, " +
			"and leaves it.\n")
	} else if p.Source != "release" {
		fmt.Fprintf(&text, "\nEvery image is signed, and has passed the checks of %s with the chart "+
			"that it runs with here.\n", p.Source)
	}
	for _, c := range p.Changes {
		if len(c.Commits) > 0 {
			fmt.Fprintf(&text, "\n**%s**, %s:\n\n- %s\n", c.To.Key, word, strings.Join(c.Commits, "\n- "))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}
