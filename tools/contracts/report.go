package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what has changed since the base.
type report struct {
	Base     base     `json:"base"`
	Breaking bool     `json:"breaking"` // something that was not accepted breaks
	Accepted bool     `json:"accepted"` // whatever breaks now is accepted
	Tell     []string `json:"tell"`     // consumers of the services that break, as consumer of service
	Changes  []change `json:"changes"`
}

// change is one difference.
type change struct {
	Service  string `json:"service"`
	Document string `json:"document"`
	Where    string `json:"where"` // operation or event
	Rule     string `json:"rule"`  // oasdiff's name of it
	Text     string `json:"text"`
	Breaking bool   `json:"breaking"`
	Accepted bool   `json:"accepted"`         // when it was merged
	Advice   string `json:"advice,omitempty"` // how to do it without breaking
}

// judge says of each change whether it was accepted before, what else to do, and
// of all who has to know.
func (r *report) judge(dir string, before []change) error {
	for n := range r.Changes {
		c := &r.Changes[n]
		if !c.Breaking {
			continue
		}
		c.Accepted = slices.Contains(before, *c)
		c.Advice = advice(c.Rule)
		r.Breaking = r.Breaking || !c.Accepted
		consumers, err := filepath.Glob(filepath.Join(dir, "services", c.Service, "api", "consumers", "*.yaml"))
		if err != nil {
			return err
		}
		for _, file := range consumers {
			r.Tell = append(r.Tell, strings.TrimSuffix(filepath.Base(file), ".yaml")+" of "+c.Service)
		}
	}
	slices.Sort(r.Tell)
	r.Tell = slices.Compact(r.Tell)
	return nil
}

// ofEvent has a change of what answersOfEvents made speak of the event.
func (c *change) ofEvent() {
	c.Where, _, _ = strings.Cut(strings.TrimPrefix(c.Where, "GET /"), "/")
	for _, status := range []string{" from the response with the `200` status", " to the response with the `200` status",
		" for the response status `200`", " for status `200`"} {
		c.Text = strings.TrimSuffix(c.Text, status)
	}
}

// advice is how a breaking change is made without breaking, by what its rule is
// about.
func advice(rule string) string {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(rule, part) })
	}
	switch {
	case has("enum"):
		return "consumers have to know the new value first, and let go of the old one"
	case has("request", "parameter") && has("required"):
		return "make it optional, and do without it where it is missing"
	case has("request", "parameter"):
		return "go on accepting what was accepted"
	case has("removed") && has("api", "path", "document", "operation"):
		return "keep it until nobody asks for it any more"
	case has("removed", "optional", "type", "required"):
		return "keep it, add the new beside it, and remove it when no consumer reads it"
	default:
		return "keep what is promised, and add the new beside it"
	}
}

func (r *report) json(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

func (r *report) table(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "The documents of the services, compared with %s:\n\n", r.Base.Why)
	if len(r.Changes) == 0 {
		b.WriteString("nothing has changed.\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "service\tdocument\tbreaking\tchange\twhat to do")
	for _, c := range r.Changes {
		breaking, text := "no", c.Text
		switch {
		case c.Accepted:
			breaking = "accepted"
		case c.Breaking:
			breaking = "YES"
		}
		if c.Where != "" {
			text = c.Where + ": " + text
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Service, c.Document, breaking, text, c.Advice)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	switch {
	case !slices.ContainsFunc(r.Changes, func(c change) bool { return c.Breaking }):
		b.WriteString("\nNobody who relied on the old documents breaks.\n")
	case !r.Breaking || r.Accepted:
		fmt.Fprintf(&b, "\nSomebody could break, which was accepted. Tell %s, before it is released.\n", r.whom())
	default:
		fmt.Fprintf(&b, "\nSomebody could break: %s. To do it nevertheless, agree with them, and set BREAKING=accepted\n"+
			"(for a pull request: the label breaking-change-accepted).\n", r.whom())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *report) whom() string {
	if len(r.Tell) == 0 {
		return "whoever uses it (no consumer has written down what it relies on)"
	}
	return strings.Join(r.Tell, ", ")
}
