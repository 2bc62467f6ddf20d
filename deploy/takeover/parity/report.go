package parity

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

const (
	shown     = 60  // runes of a value in a report
	maxRoutes = 200 // beyond, requests count under others
	recent    = 20  // results that are kept
	diffLines = 14
)

// Counts are numbers of requests.
type Counts struct {
	Requests  int `json:"requests"`
	Same      int `json:"same"`
	Intended  int `json:"intended"` // all differences have a rule
	Different int `json:"different"`
	Failed    int `json:"failed"` // nothing was compared
}

// Route has the requests of a method and a path.
type Route struct {
	Route string `json:"route"`
	Counts
	Worst *Result `json:"worst,omitempty"` // the one with most differences that are not intended, or a failed one
}

// RuleUse is what a rule was good for.
type RuleUse struct {
	Rule
	Tried   int `json:"tried"`   // requests of its path that were compared
	Matched int `json:"matched"` // differences
}

// Stale reports whether the rule could have matched, and has not.
func (u RuleUse) Stale() bool { return u.Tried > 0 && u.Matched == 0 }

// Report is everything that was seen.
type Report struct {
	At      time.Time `json:"at"`
	Since   time.Time `json:"since"`
	Old     string    `json:"old"`
	New     string    `json:"new"`
	Parity  bool      `json:"parity"` // something was compared, and nothing failed or differs unintended
	Totals  Counts    `json:"totals"`
	LeftOut int       `json:"left_out"` // not sent to the new system: writes, and what cannot be compared
	Dropped int       `json:"dropped"`  // mirrored reads that found the queue full
	Routes  []Route   `json:"routes"`
	Rules   []RuleUse `json:"rules"`
	Recent  []Result  `json:"recent"` // the last ones that differ or failed, newest first
}

// recorder collects results.
type recorder struct {
	mu     sync.Mutex
	report Report
	routes map[string]*Route
}

func newRecorder(o Options) *recorder {
	r := &recorder{routes: map[string]*Route{}, report: Report{
		Since: time.Now().UTC(), Old: origin(o.Old), New: origin(o.New), Recent: []Result{},
	}}
	for _, rule := range o.Rules {
		r.report.Rules = append(r.report.Rules, RuleUse{Rule: rule})
	}
	return r
}

// origin returns an address without the password that it may contain.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

func (r *recorder) leftOut(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.LeftOut += n
}

func (r *recorder) dropped() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Dropped++
}

func (r *recorder) add(result Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := result.route
	if r.routes[name] == nil && len(r.routes) >= maxRoutes {
		name = "others"
	}
	route := r.routes[name]
	if route == nil {
		route = &Route{Route: name}
		r.routes[name] = route
	}
	for i := range result.matched {
		r.report.Rules[i].Matched += result.matched[i]
		if result.tried[i] {
			r.report.Rules[i].Tried++
		}
	}
	route.count(&result)
	if result.Error == "" && result.different() == 0 {
		return
	}
	if route.Worst == nil || result.different() > route.Worst.different() {
		route.Worst = &result
	}
	r.report.Recent = slices.Insert(r.report.Recent, 0, result)
	r.report.Recent = r.report.Recent[:min(recent, len(r.report.Recent))]
}

func (c *Counts) count(result *Result) {
	c.Requests++
	switch {
	case result.Error != "":
		c.Failed++
	case result.different() > 0:
		c.Different++
	case len(result.Differences) > 0:
		c.Intended++
	default:
		c.Same++
	}
}

// now returns the report of everything so far.
func (r *recorder) now() *Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.report
	report.At = time.Now().UTC()
	report.Rules = slices.Clone(report.Rules)
	report.Recent = slices.Clone(report.Recent)
	report.Routes = []Route{}
	for _, name := range slices.Sorted(maps.Keys(r.routes)) {
		route := *r.routes[name]
		report.Routes = append(report.Routes, route)
		report.Totals.Requests += route.Requests
		report.Totals.Same += route.Same
		report.Totals.Intended += route.Intended
		report.Totals.Different += route.Different
		report.Totals.Failed += route.Failed
	}
	slices.SortStableFunc(report.Routes, func(a, b Route) int { return cmp.Compare(b.Different, a.Different) })
	t := report.Totals
	report.Parity = t.Same+t.Intended > 0 && t.Different == 0 && t.Failed == 0
	return &report
}

// stringer is how go-cmp prints a number.
var stringer = regexp.MustCompile(`\bs"([-+.\deE]+)"`)

// around shows a difference between the objects that contain it.
func around(d Difference) string {
	old, ours := hide(d.near[0]), hide(d.near[1])
	const most = 10_000 // bytes; a longer list tells nobody anything
	if old == nil || len(canonical(old, nil))+len(canonical(ours, nil)) > most {
		return ""
	}
	diff := gocmp.Diff(old, ours, gocmp.Comparer(func(a, b json.Number) bool { return decimal(a) == decimal(b) }))
	diff = stringer.ReplaceAllString(diff, "$1")
	diff = strings.NewReplacer("\u00a0", " ", "\t", "  ").Replace(strings.TrimSpace(diff))
	lines := strings.Split(diff, "\n")
	if len(lines) > diffLines {
		lines = append(lines[:diffLines], "…")
	}
	return strings.Join(lines, "\n")
}
