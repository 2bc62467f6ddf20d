package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Side is one of the two that answer requests of a path.
type Side struct {
	Percent int    `json:"percent"`
	Service string `json:"service,omitempty"` // none if no object names it
	Ready   int    `json:"ready"`             // endpoints
}

// Path is how a path is shared out.
type Path struct {
	Path      string   `json:"path"`
	Services  Side     `json:"services"`
	OldSystem Side     `json:"old_system"`
	Header    string   `json:"header,omitempty"`
	Mirrored  bool     `json:"mirrored"`
	Objects   []string `json:"objects"` // that say so
}

// Report is what the cluster does.
type Report struct {
	Paths    []Path   `json:"paths"`
	Warnings []string `json:"warnings"`
	Next     string   `json:"next"`
}

func examine(o *objects) *Report {
	rules, faults := o.rules()
	report := &Report{Warnings: append([]string{}, faults...)}
	ready := o.ready()
	for _, name := range paths {
		p, warnings := share(name, rules)
		for _, side := range []*Side{&p.Services, &p.OldSystem} {
			side.Ready = ready[side.Service]
			gets := fmt.Sprintf("%d %% of the requests", side.Percent)
			if side.Percent == 0 {
				gets = "the mirrored reads"
			}
			mirrored := side == &p.Services && p.Mirrored
			if side.Service != "" && side.Ready == 0 && (side.Percent > 0 || mirrored) {
				warnings = append(warnings, fmt.Sprintf("%s: %s gets %s, and has no ready endpoint", p.Path, side.Service, gets))
			}
		}
		report.Paths = append(report.Paths, p)
		report.Warnings = append(report.Warnings, warnings...)
	}
	slices.Sort(report.Warnings)
	report.Warnings = slices.Compact(report.Warnings)
	report.Next = report.next()
	return report
}

// share joins the rules of all objects for a path, which should say the same.
func share(name string, rules []rule) (p Path, warnings []string) {
	p = Path{Path: "/" + name, Objects: []string{}}
	warn := func(format string, values ...any) {
		warnings = append(warnings, p.Path+": "+fmt.Sprintf(format, values...))
	}
	of, places := map[string]*terms{}, map[string]string{} // by object
	for _, r := range rules {
		if r.path != name {
			continue
		}
		percent, strangers := p.sides(r.shares)
		for _, service := range strangers {
			warn("%s sends requests to %s, which is of neither side", r.object, service)
		}
		t := of[r.object]
		if t == nil {
			t = &terms{}
			of[r.object] = t
			p.Objects = append(p.Objects, r.object)
		}
		t.mirrored = t.mirrored || r.mirrored
		if r.header != "" {
			want, known := map[string]int{"always": 100, "never": 0}[r.value]
			if known && percent != want {
				warn("%s sends requests with %s: %s to the wrong side", r.object, r.header, r.value)
			}
			t.header = r.header
			continue
		}
		if places[r.object] == "" {
			t.percent, places[r.object] = percent, r.place
		}
		if t.percent != percent {
			warn("%s gives the services %d %% of %s, and %d %% of %s", r.object, t.percent, places[r.object], percent, r.place)
		}
	}
	if len(p.Objects) == 0 {
		warn("no Ingress, IngressRoute or HTTPRoute has it")
		return p, warnings
	}
	first := of[p.Objects[0]]
	for _, object := range p.Objects[1:] {
		if *of[object] != *first {
			warn("%s and %s contradict each other: the services get %s, and %s", p.Objects[0], object, first, of[object])
		}
	}
	p.Services.Percent, p.OldSystem.Percent = first.percent, 100-first.percent
	p.Header, p.Mirrored = first.header, first.mirrored
	return p, warnings
}

// sides returns the percentage of the services, and the Services of neither side that get requests.
func (p *Path) sides(shares map[string]float64) (percent int, strangers []string) {
	name, services := strings.TrimPrefix(p.Path, "/"), 0.0
	for service, share := range shares {
		switch service {
		case name + "-svc", name + "-public":
			p.Services.Service = service
			services += share
		case name + "-legacy":
			p.OldSystem.Service = service
		default:
			if share > 0 {
				strangers = append(strangers, service)
			}
		}
	}
	return int(math.Round(100 * services)), strangers
}

// terms are what an object says about a path.
type terms struct {
	percent  int // of the services
	header   string
	mirrored bool
}

func (t *terms) String() string {
	text := fmt.Sprintf("%d %%", t.percent)
	if t.header != "" {
		text += " with the header " + t.header
	}
	if t.mirrored {
		text += " with mirrored reads"
	}
	return text
}

// next is the next step of docs/takeover.md.
func (r *Report) next() string {
	if len(r.Warnings) > 0 {
		return "resolve the warnings before a weight changes"
	}
	if !slices.ContainsFunc(r.Paths, func(p Path) bool { return p.OldSystem.Service != "" }) {
		return "nothing: there is no old system, and the services have all paths"
	}
	for i, p := range r.Paths {
		name, at := paths[i], p.Services.Percent
		if at == 100 {
			continue
		}
		step := 100
		for _, s := range []int{50, 10} {
			if at < s {
				step = s
			}
		}
		off := ""
		if step == 100 && p.Mirrored {
			off = fmt.Sprintf(" and takeover.mirror.%s to false", name)
		}
		return fmt.Sprintf("if parity finds no difference, set takeover.weights.%s to %d%s", name, step, off)
	}
	return "stop the old system when nobody needs it, and set takeover.enabled to false"
}

const width = 80 // of a terminal

// text is the report for people.
func (r *Report) text() string {
	var b strings.Builder
	const row = "%-6s %-20s %-20s %s\n"
	fmt.Fprintf(&b, row, "path", "  services", "  old system", "reads")
	for _, p := range r.Paths {
		side := func(s Side) string {
			if s.Service == "" {
				return fmt.Sprintf("%5d %%", s.Percent)
			}
			return fmt.Sprintf("%5d %% %4d ready", s.Percent, s.Ready)
		}
		reads := "not mirrored"
		if p.Mirrored {
			reads = "mirrored"
		}
		fmt.Fprintf(&b, row, p.Path, side(p.Services), side(p.OldSystem), reads)
	}
	b.WriteString("\n")
	for _, p := range r.Paths {
		if len(p.Objects) > 0 {
			b.WriteString(wrap(fmt.Sprintf("%-8s ", p.Path), "by "+strings.Join(p.Objects, ", ")))
		}
	}
	var headers []string
	for _, p := range r.Paths {
		if p.Header != "" && !slices.Contains(headers, p.Header) {
			headers = append(headers, p.Header)
		}
	}
	for _, header := range headers {
		b.WriteString(wrap("header   ", header+": always sends a request to the services, never to the old system"))
	}
	for _, w := range r.Warnings {
		b.WriteString(wrap("warning: ", w))
	}
	b.WriteString(wrap("next:    ", r.Next))
	return b.String()
}

// wrap breaks a text into lines, which begin with the lead or with as many spaces.
func wrap(lead, text string) string {
	var b strings.Builder
	line := lead
	for _, word := range strings.Fields(text) {
		if len(line) > len(lead) && len(line)+1+len(word) > width {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", len(lead))
		}
		if len(line) > len(lead) {
			line += " "
		}
		line += word
	}
	return b.String() + line + "\n"
}
