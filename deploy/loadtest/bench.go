// Package loadtest measures the running system against yardsticks: what the same machine
// does at the same time without our code. A path of ours is compared with a bare server
// that sends the same bytes, with pgbench on the same tables, or with the hash alone.
//
// Run starts the system with its own PostgreSQL of default durability, and goes through
// rounds. In each, a path and its yardstick are measured one after the other, by clients
// that never pause (a closed model), which finds the most that either can do. Latencies
// are measured by requests that are sent by a schedule (an open model), at half of that
// rate and at three times the rate of orders. Services are called directly, without the
// gateway, and write their access logs as in production.
//
// RunSoak and RunGrowth compare the system with itself instead: later, and with more data.
package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Options configure a run.
type Options struct {
	Root     string        // the repository
	Rounds   int           // measurements of each path
	Round    time.Duration // length of each measurement
	Replay   bool          // the busiest day of the real year in a minute, too
	Soak     time.Duration // how long RunSoak runs
	Growth   int           // times the real year that RunGrowth goes up to
	Progress io.Writer     // one line per step
}

// replayed is how long a replayed day takes.
const replayed = time.Minute

// Paths that other code refers to.
const (
	browsing   = "GET /menu/"
	ordering   = "POST /order/"
	overloaded = "orders at 3× the load"
)

// overloadFactor is the multiple of the rate of orders at which the system is overloaded.
const overloadFactor = 3

// visitors is the number of orders of the real year that are placed again and again.
const visitors = 2000

// readsBeside is the rate of each kind of reads beside an overload.
const readsBeside = 20

type measure func(context.Context) (float64, error)

// pair is a row to be measured.
type pair struct {
	Row
	ours, yardstick measure
	requests        []request // of which the latency is measured, too
}

// run is a run in progress.
type run struct {
	*system
	Options
	report       Report
	bare         *server
	nginx        *server
	pairs        []*pair
	idle         map[string]float64 // MiB of the process that was last started, by name
	lastOverload []vegeta.Result
}

// Run runs the whole load test.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	r := &run{Options: o, idle: map[string]float64{}}
	r.report = Report{Date: time.Now(), Rounds: o.Rounds, Round: o.Round.String()}
	load := readLoad()
	year, err := readHistory(history(o.Root))
	if err != nil {
		return nil, err
	}
	if r.system, err = start(ctx, o.Root, o.Progress, nil); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	if err := r.startYardsticks(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.bare.stop(), r.nginx.stop()) }()
	if r.report.Machine, err = r.describe(ctx, load); err != nil {
		return nil, err
	}
	r.pairs = r.choose(year)
	for round := range o.Rounds {
		if err := r.round(ctx, round); err != nil {
			return nil, err
		}
	}
	for _, p := range r.pairs {
		r.report.Rows = append(r.report.Rows, p.Row)
	}
	if err := r.latencies(ctx); err != nil {
		return nil, err
	}
	if o.Replay {
		if err := r.replayDay(ctx, busiestDay(year)); err != nil {
			return nil, err
		}
	}
	return &r.report, nil
}

func (r *run) startYardsticks(ctx context.Context) error {
	if err := os.WriteFile(r.menuFile(), r.menu, 0o644); err != nil {
		return err
	}
	if _, err := r.member(ctx, memberWithPgbench, 0); err != nil {
		return err
	}
	var err error
	if r.bare, err = r.startBare(ctx); err != nil {
		return err
	}
	if r.nginx, err = r.startNginx(ctx); err != nil {
		return errors.Join(err, r.bare.stop())
	}
	return nil
}

func services() []string { return []string{"login", "menu", "order"} }

// choose returns what is measured, in the order in which it is.
func (r *run) choose(year []basket) []*pair {
	var pairs []*pair
	add := func(path, unit string, ours measure, against string, yardstick measure, target float64) {
		pairs = append(pairs, &pair{Row: Row{Path: path, Unit: unit, Against: against, Target: target}, ours: ours, yardstick: yardstick})
	}
	// attack adds a path that is measured by requests.
	attack := func(path string, requests []request, against string, yardstick measure, target float64) {
		add(path, "/s", r.saturated(requests...), against, yardstick, target)
		pairs[len(pairs)-1].requests = requests
	}
	pgbench := func(script, member string) measure {
		return func(ctx context.Context) (float64, error) { return r.pgbench(ctx, script, member, r.Round) }
	}
	withPgbench := "pgbench"
	if findPgbench() == "" {
		withPgbench = ""
	}

	for _, name := range services() {
		add("start "+name, "ms", r.restart(name), "echo", r.restartBare, 25) // 200 ms, where echo takes 8
	}
	if hasProc() {
		for _, name := range services() {
			add("memory idle "+name, "MiB", r.idleMemory(name), "echo", r.idleMemory("echo"), 3.25) // 25 of 7.7 MiB
		}
	}
	attack(browsing, []request{r.browse()}, "echo", r.saturated(get(r.bare.url+"/menu")), 0.8)
	if r.nginx != nil {
		add(browsing, "/s", r.saturated(r.browse()), "nginx", r.saturated(get(r.nginx.url+"/menu")), 0.35)
	}
	lookUp := r.lookUp(r.pizzas["bbq_ckn_l"])
	bare := lookUp
	bare.url = r.bare.url + "/menu/get_pizza_id/"
	attack("POST /menu/get_pizza_id/", []request{lookUp}, "echo", r.saturated(bare), 0.7)
	attack("GET myorder, 3 orders", r.myOrders(r.three...), withPgbench, pgbench(selectOrders(withThree+"-0"), withThree+"-0"), 0.7)
	attack("GET myorder, 100 orders", r.myOrders(r.hundred...), withPgbench, pgbench(selectOrders(withHundred+"-0"), withHundred+"-0"), 0.7)

	var plain, keyed []request
	for _, token := range r.buyers {
		o := r.order(token, threeLines())
		plain = append(plain, o)
		o.key = true
		keyed = append(keyed, o)
	}
	attack("POST /order/ with a key", keyed, withPgbench, pgbench(insertOrder(), memberWithPgbench), 0.5)
	attack(ordering, plain, withPgbench, pgbench(insertOrder(), memberWithPgbench), 0.6)
	add(overloaded, "/s", r.overload(plain), ordering, func(context.Context) (float64, error) { return r.lastRate(ordering), nil }, 0.9)
	attack("POST /login/", []request{r.demoLogin()}, "argon2", func(ctx context.Context) (float64, error) { return hash(ctx, r.Round) }, 0.95)
	add("visits of the real year", "/s", r.visits(year), "", nil, 0)
	if hasProc() {
		for _, name := range services() {
			target := 4.25 // 60 of 14 MiB
			if name == "login" {
				target += 5.5 // a hash on each of two cores, and as much again until it is collected
			}
			add("memory loaded "+name, "MiB", func(context.Context) (float64, error) { return memory(r.Service(name).Process().PID()) },
				"echo", func(context.Context) (float64, error) { return memory(r.bare.PID()) }, target)
		}
	}
	return pairs
}

// saturated returns a measure of the answers per second.
func (r *run) saturated(requests ...request) measure {
	targets := inTurn(requests...)
	return func(ctx context.Context) (float64, error) { return r.saturate(ctx, targets, r.Round) }
}

// lastRate returns the last measurement of a path.
func (r *run) lastRate(path string) float64 {
	for _, p := range r.pairs {
		if p.Path == path {
			return p.Ours[len(p.Ours)-1]
		}
	}
	return 0
}

// round measures all pairs once. The first of a pair alternates, so that neither always
// finds the machine as the other left it.
func (r *run) round(ctx context.Context, round int) error {
	began := time.Now()
	for _, p := range r.pairs {
		steps := []struct {
			measure measure
			into    *[]float64
		}{{p.ours, &p.Ours}, {p.yardstick, &p.Yardstick}}
		if p.Against == "" {
			steps = steps[:1]
		} else if round%2 == 1 {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			value, err := step.measure(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", p.Path, err)
			}
			*step.into = append(*step.into, value)
		}
	}
	_, err := fmt.Fprintf(r.Progress, "round %d of %d took %.0f s: %.0f orders/s\n", round+1, r.Rounds, time.Since(began).Seconds(), r.lastRate(ordering))
	return err
}

// restart returns a measure of how long a new process of a service takes to be ready.
func (r *run) restart(name string) measure {
	return func(ctx context.Context) (float64, error) {
		began := time.Now()
		replica, err := r.Replica(ctx, name)
		if err != nil {
			return 0, err
		}
		ready := time.Since(began)
		if hasProc() {
			if r.idle[name], err = memory(replica.Process().PID()); err != nil {
				return 0, err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		return ready.Seconds() * 1000, replica.Process().Stop(ctx)
	}
}

func (r *run) restartBare(ctx context.Context) (float64, error) {
	began := time.Now()
	server, err := r.startBare(ctx)
	if err != nil {
		return 0, err
	}
	ready := time.Since(began)
	if hasProc() {
		if r.idle["echo"], err = memory(server.PID()); err != nil {
			return 0, err
		}
	}
	return ready.Seconds() * 1000, server.stop()
}

// visits returns a measure of the visits per second: each is as many requests as one of
// the real year needs.
func (r *run) visits(year []basket) measure {
	var requests []request
	for i, b := range year[:visitors] {
		requests = append(requests, r.visit(b, i)...)
	}
	perVisit := float64(len(requests)) / visitors
	targets := inTurn(requests...)
	return func(ctx context.Context) (float64, error) {
		rate, err := r.saturate(ctx, targets, r.Round)
		return rate / perVisit, err
	}
}

// overload returns a measure of the goodput: the orders per second that are accepted while
// more than the system can place are sent by a schedule, beside reads.
func (r *run) overload(orders []request) measure {
	return func(ctx context.Context) (float64, error) {
		beside := make(chan []vegeta.Result, 1)
		go func() {
			reads := inTurn(r.browse(), r.lastOrders(r.three[0], ""))
			answers, _ := r.drive(ctx, "reads at 3× the load", reads, constant(2*readsBeside, r.Round)) // the orders return the error
			beside <- answers
		}()
		answers, err := r.drive(ctx, overloaded, inTurn(orders...), constant(overloadFactor*r.lastRate(ordering), r.Round))
		r.lastOverload = slices.Concat(answers, <-beside)
		if err != nil {
			return 0, err
		}
		began := time.Now()
		for _, a := range answers {
			began = earlier(began, a.Timestamp)
		}
		accepted := 0
		for _, a := range answers {
			if isAccepted(a) && a.Timestamp.Add(a.Latency).Sub(began) <= r.Round {
				accepted++
			}
		}
		return float64(accepted) / r.Round.Seconds(), nil
	}
}

func isAccepted(a vegeta.Result) bool { return a.Code == http.StatusCreated }
func isRefused(a vegeta.Result) bool  { return a.Code == http.StatusServiceUnavailable }
func isRead(a vegeta.Result) bool     { return a.Method == http.MethodGet }
func isLost(a vegeta.Result) bool     { return !isAccepted(a) && !isRefused(a) && !isRead(a) }

// latencies measures each path at half of its rate, with its costs, and reports the last
// overload.
func (r *run) latencies(ctx context.Context) error {
	for _, p := range r.pairs {
		if p.requests == nil {
			continue
		}
		long := 2 * r.Round
		var answers []vegeta.Result
		cost, err := r.costOf(ctx, p.Path, func() (_ int, err error) {
			answers, err = r.drive(ctx, p.Path, inTurn(p.requests...), constant(median(p.Ours)/2, long))
			return len(answers), err
		})
		if err != nil {
			return err
		}
		if cost.Path != "" {
			r.report.Costs = append(r.report.Costs, cost)
		}
		r.add(p.Path, long, answers, nil)
		r.report.answers = append(r.report.answers, answers...)
	}
	r.add("3×: accepted orders", r.Round, r.lastOverload, isAccepted)
	r.add("3×: refused orders", r.Round, r.lastOverload, isRefused)
	r.add("3×: failed orders", r.Round, r.lastOverload, isLost)
	r.add("3×: reads beside", r.Round, r.lastOverload, isRead)
	r.report.answers = append(r.report.answers, r.lastOverload...)
	r.report.Overload = []Flow{flow("accepted", r.lastOverload, isAccepted), flow("refused", r.lastOverload, isRefused)}
	return nil
}

// add reports the latency of the answers that keep accepts; nil accepts all.
func (r *run) add(path string, long time.Duration, answers []vegeta.Result, keep func(vegeta.Result) bool) {
	r.report.Latencies = append(r.report.Latencies, latency(path, long, answers, keep))
}

func (r *run) replayDay(ctx context.Context, day []basket) error {
	requests, due := replayOf(day, replayed, r.visit)
	answers, err := r.drive(ctx, "replay", inTurn(requests...), due)
	if err != nil {
		return err
	}
	r.add("replay of "+day[0].placed.Format(time.DateOnly), replayed, answers, nil)
	r.report.answers = append(r.report.answers, answers...)
	return nil
}

// readLoad returns the load of the last minute, or 0 where the system does not tell.
func readLoad() float64 {
	var load float64
	b, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, _ = fmt.Sscan(string(b), &load) // 0 if it is something else
	}
	return load
}

// readCPU returns the name of the processor, or nothing where the system does not tell.
func readCPU() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
