package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

// outcome is a row of the table.
type outcome struct {
	Scenario     string         `json:"scenario"`
	Requests     int            `json:"requests"`
	Failures     int            `json:"failures"`
	Why          map[string]int `json:"why,omitempty"`
	Tolerated    string         `json:"tolerated,omitempty"`
	Restarts     int            `json:"restarts"`
	Acknowledged int            `json:"acknowledged"`
	Stored       int            `json:"stored"`
	Double       int            `json:"double"`
	Lost         int            `json:"lost"`
	Seconds      float64        `json:"seconds"`
	Error        string         `json:"error,omitempty"`
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	if len(args) > 0 && args[0] == "gitops" {
		return runGitOps(ctx, args[1:], stdout, stderr)
	}
	c, err := newCommand("e2e", args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.log.Close()) }()
	e := &experiment{stderr: stderr, system: &system{
		cluster: cluster{c.settings.Namespace, c.log}, settings: c.settings, root: c.root, work: c.work,
	}}
	runErr := e.run(ctx)
	if runErr != nil {
		runErr = fmt.Errorf("%w\n(every command and its answer: %s; what PostgreSQL says: postgres.log beside it)", runErr, c.log.Name())
	}
	return errors.Join(runErr, printed(c, stdout, e.outcomes, table))
}

// experiment is one run through all scenarios.
type experiment struct {
	*system
	stderr   io.Writer
	outcomes []outcome
	stored   map[string]bool // orders from before the scenario
}

func (e *experiment) say(format string, args ...any) {
	_, _ = fmt.Fprintf(e.stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
	logged(e.log, "--- "+format, args...)
}

func (e *experiment) run(ctx context.Context) (err error) {
	if e.settings.Host == "" {
		if e.settings.Host, err = e.hostAddress(ctx); err != nil {
			return err
		}
	}
	e.say("starting PostgreSQL beside the cluster")
	folder, err := databaseFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if e.database, err = startDatabase(ctx, filepath.Join(folder, "postgres"), e.settings.Host, e.log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.database.stop(filepath.Join(e.work, "postgres.log"))) }()
	if !e.settings.Keep {
		defer func() { err = errors.Join(err, e.clean(context.WithoutCancel(ctx))) }()
	}
	e.customers = newCustomers(e.settings.Ingress, host, float64(e.settings.Rate))
	if err := e.follow(ctx); err != nil {
		return err
	}
	if err := e.customers.arrive(ctx); err != nil {
		return err
	}
	var failed []error
	for _, s := range scenarios() {
		if e.chosen(s.name) {
			failed = append(failed, e.suffer(ctx, s))
		}
	}
	if e.chosen(networkPolicies) {
		failed = append(failed, e.step(ctx, networkPolicies, e.policies))
	}
	if e.chosen(takenOver) {
		failed = append(failed, e.takeOver(ctx))
	}
	if e.settings.Keep {
		e.say("the release is there, with its database, until Ctrl-C")
		<-ctx.Done()
		return errors.Join(failed...)
	}
	return errors.Join(append(failed, e.step(ctx, "uninstall leaves nothing but data and Secrets", e.uninstall))...)
}

func (e *experiment) chosen(name string) bool {
	only := e.settings.only()
	return only == nil || slices.Contains(only, name)
}

// step is a scenario without customers.
func (e *experiment) step(ctx context.Context, name string, do func(context.Context) error) error {
	e.say("%s", name)
	start := time.Now()
	err := do(ctx)
	o := outcome{Scenario: name, Seconds: time.Since(start).Seconds()}
	if err != nil {
		o.Error = err.Error()
		err = fmt.Errorf("%s: %w", name, err)
	}
	e.outcomes = append(e.outcomes, o)
	return err
}

// clean deletes everything that a run leaves in the cluster.
func (e *experiment) clean(ctx context.Context) error {
	_, err := e.kubectl(ctx, "delete", "namespace", e.namespace, e.namespace+monitoring, "--ignore-not-found", "--timeout=120s")
	return err
}

// suffer runs a scenario while customers shop, and reconciles the orders.
func (e *experiment) suffer(ctx context.Context, s scenario) error {
	e.say("%s", s.name)
	start := time.Now()
	var err error
	if e.stored, err = e.database.orders(ctx, e.customers.prefix); err != nil {
		return err
	}
	before, err := e.restartsByPod(ctx)
	if err != nil {
		return err
	}
	open, closing := context.WithCancel(ctx)
	result := make(chan *books, 1)
	go func() { result <- e.customers.shop(open) }()
	pause(ctx, e.settings.Calm)
	disturbed := s.disturb(ctx, e.system)
	pause(ctx, e.settings.Calm)
	closing()
	o, err := e.settle(ctx, s, <-result, before)
	o.Seconds = time.Since(start).Seconds()
	if err = errors.Join(disturbed, err, o.judge(s)); err != nil {
		o.Error = err.Error()
		err = fmt.Errorf("%s: %w", s.name, err)
	}
	e.outcomes = append(e.outcomes, o)
	for why, n := range o.Why {
		if o.Error != "" {
			e.say("%6d x %s", n, why)
		} else {
			logged(e.log, "%6d x %s", n, why)
		}
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (e *experiment) restartsByPod(ctx context.Context) (map[string]int, error) {
	pods, err := e.pods(ctx, "")
	n := map[string]int{}
	for _, p := range pods {
		n[p.Metadata.UID] = p.restarts()
	}
	return n, err
}

// settle compares the acknowledged orders with the stored ones.
func (e *experiment) settle(ctx context.Context, s scenario, b *books, before map[string]int) (outcome, error) {
	o := outcome{Scenario: s.name, Requests: b.requests, Why: b.failures, Tolerated: s.tolerated, Acknowledged: len(b.acknowledged)}
	for _, n := range b.failures {
		o.Failures += n
	}
	after, err := e.restartsByPod(ctx)
	if err != nil {
		return o, err
	}
	for uid, n := range after {
		o.Restarts += n - before[uid]
	}
	stored, err := e.database.orders(ctx, e.customers.prefix)
	if err != nil {
		return o, err
	}
	for id := range stored {
		if e.stored[id] {
			continue
		}
		o.Stored++
		if !b.acknowledged[id] {
			o.Double++
		}
	}
	for id := range b.acknowledged {
		if !stored[id] {
			o.Lost++
		}
	}
	if missing := b.orders - len(b.acknowledged); missing > 0 {
		return o, fmt.Errorf("%d of %d orders were never acknowledged", missing, b.orders)
	}
	return o, nil
}

// judge returns an error if the outcome breaks a rule for all scenarios or for s.
func (o outcome) judge(s scenario) error {
	var bad []error
	if o.Lost > 0 || o.Double > 0 {
		bad = append(bad, fmt.Errorf("%d orders lost, %d duplicated", o.Lost, o.Double))
	}
	if s.tolerated == "" && o.Failures > 0 {
		worst := slices.SortedFunc(maps.Keys(o.Why), func(a, b string) int { return o.Why[b] - o.Why[a] })
		bad = append(bad, fmt.Errorf("%d requests failed, such as %s", o.Failures, worst[0]))
	}
	if o.Restarts > s.restarts {
		bad = append(bad, fmt.Errorf("%d containers were restarted, at most %d belong to it", o.Restarts, s.restarts))
	}
	if o.Acknowledged == 0 {
		bad = append(bad, errors.New("no order was placed"))
	}
	return errors.Join(bad...)
}

// policies checks which pods can reach restricted addresses.
func (e *experiment) policies(ctx context.Context) error {
	db := fmt.Sprintf("%s:%d", e.settings.Host, e.database.door.port())
	asService := func(name string) map[string]string {
		return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "pizza", "app.kubernetes.io/instance": release + "-not"}
	}
	prometheus := e.cluster
	prometheus.namespace += monitoring
	if _, err := prometheus.kubectl(ctx, "create", "namespace", prometheus.namespace); err != nil {
		return err
	}
	of := func(service string) string { return service + "-svc." + e.namespace }
	var bad []error
	for _, try := range []struct {
		name   string
		from   cluster
		labels map[string]string
		want   map[string]bool
	}{
		{"stranger", e.cluster, map[string]string{"app": "stranger"}, map[string]bool{
			db: true, "menu-svc:9000": false, "login-svc:9000": false, "login-svc:9100": false, "order-svc:80": false,
		}},
		{"unknown", e.cluster, map[string]string{"app.kubernetes.io/part-of": "pizza"}, map[string]bool{db: false, "order-svc:80": false}},
		{"login", e.cluster, asService("login"), map[string]bool{"menu-svc:9000": false}},
		{"test", e.cluster, map[string]string{"app.kubernetes.io/component": "test", "app.kubernetes.io/part-of": "pizza"}, map[string]bool{
			"order-svc:80": true, "order-svc:9000": false, db: false,
		}},
		{"prometheus", prometheus, map[string]string{"app": "prometheus"}, map[string]bool{
			of("login") + ":9100": true, of("menu") + ":9100": true, of("order") + ":9100": true,
			of("login") + ":9000": false, of("menu") + ":9000": false, of("order") + ":80": false,
		}},
	} {
		got, err := try.from.reach(ctx, try.name, try.labels, slices.Sorted(maps.Keys(try.want))...)
		if err != nil {
			return err
		}
		for address, want := range try.want {
			if got[address] != want {
				bad = append(bad, fmt.Errorf("a pod as %s reaches %s: %v, want %v", try.name, address, got[address], want))
			}
		}
	}
	return errors.Join(bad...)
}

func (e *experiment) uninstall(ctx context.Context) error {
	if _, err := e.helm(ctx, "uninstall", release, "--wait", "--timeout", "2m"); err != nil {
		return err
	}
	err := wait(ctx, "nothing left of the release", time.Minute, func(ctx context.Context) (bool, error) {
		left, err := e.leftovers(ctx)
		if left != "" {
			err = errors.Join(err, fmt.Errorf("left are %s", left))
		}
		return left == "", err
	})
	if err != nil {
		return err
	}
	orders, err := e.database.orders(ctx, e.customers.prefix)
	if err == nil && len(orders) == 0 {
		err = errors.New("the data is gone")
	}
	return err
}

// table prints the outcomes for people.
func table(w io.Writer, outcomes []outcome) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "SCENARIO\tREQUESTS\tFAILURES\tRESTARTS\tACKNOWLEDGED\tSTORED\tDOUBLE\tLOST\tSECONDS\t")
	for _, o := range outcomes {
		verdict := "ok"
		if o.Error != "" {
			verdict = "FAILED"
		}
		if o.Requests == 0 {
			_, _ = fmt.Fprintf(t, "%s\t\t\t\t\t\t\t\t%.0f\t%s\n", o.Scenario, o.Seconds, verdict)
			continue
		}
		failures := fmt.Sprint(o.Failures)
		if o.Tolerated != "" {
			failures += " (may)"
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%.0f\t%s\n", o.Scenario, o.Requests, failures, o.Restarts, o.Acknowledged, o.Stored, o.Double, o.Lost, o.Seconds, verdict)
	}
	return t.Flush()
}
