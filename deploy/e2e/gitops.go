package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// walk follows changes from the commit to prod, deployed by Argo CD.
//
//	developer ─▶ commit ─▶ images ─▶ images.yaml ─▶ Argo CD ─▶ dev ─▶ stg ─▶ prod ◀─ customers
type walk struct {
	settings     Settings
	root, work   string
	log, stderr  io.Writer
	argocd       *argocd
	repository   repository
	builder      *builder
	environments map[string]*environment
	commit       string // the newest
	steps        []step
}

// step is a row of the table.
type step struct {
	What    string  `json:"step"`
	Seen    string  `json:"seen"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"`
}

// step runs and records one step. do returns what it observed.
func (w *walk) step(what string, do func() (string, error)) error {
	_, _ = fmt.Fprintf(w.stderr, "%s %s\n", time.Now().Format(time.TimeOnly), what)
	logged(w.log, "--- %s", what)
	start := time.Now()
	seen, err := do()
	s := step{What: what, Seen: seen, Seconds: time.Since(start).Seconds()}
	if err != nil {
		s.Error = err.Error()
		err = fmt.Errorf("%s: %w", what, err)
	}
	w.steps = append(w.steps, s)
	return err
}

func runGitOps(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c, err := newCommand("gitops", args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.log.Close()) }()
	w := &walk{settings: c.settings, root: c.root, work: c.work, log: c.log, stderr: stderr}
	walked := w.run(ctx)
	if walked != nil {
		walked = fmt.Errorf("%w\n(every command and its answer: %s, beside it what each part of Argo CD says)", walked, c.log.Name())
	}
	return errors.Join(walked, printed(c, stdout, w.steps, stepTable))
}

func (w *walk) run(ctx context.Context) (err error) {
	here := cluster{"default", w.log}
	if w.settings.Host == "" {
		if w.settings.Host, err = here.hostAddress(ctx); err != nil {
			return err
		}
	}
	w.repository = repository{cluster: here, bare: filepath.Join(w.work, "pizza.git"), checkout: filepath.Join(w.work, "pizza")}
	w.argocd = &argocd{cluster: cluster{"argocd", w.log}, bin: filepath.Join(w.root, ".local", "bin"), work: w.work}
	if err := w.clean(ctx); err != nil {
		return err
	}
	defer func() {
		if !w.settings.Keep {
			err = errors.Join(err, w.clean(context.WithoutCancel(ctx)))
		}
	}()
	folder, err := databaseFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	key := rand.Text() + rand.Text()
	w.environments = map[string]*environment{}
	for _, name := range stages() {
		e, err := w.environment(ctx, name, folder)
		if err != nil {
			return err
		}
		w.environments[name] = e
		defer func() { err = errors.Join(err, e.database.stop(filepath.Join(w.work, "postgres-"+name+".log"))) }()
		if err := e.prepare(ctx, key); err != nil {
			return err
		}
	}
	if w.builder, err = newBuilder(ctx, w); err != nil {
		return err
	}
	defer w.builder.close()
	defer func() { err = errors.Join(err, w.argocd.stop()) }()
	err = w.story(ctx)
	if w.settings.Keep {
		_, _ = fmt.Fprintln(w.stderr, "all of it is there until Ctrl-C")
		<-ctx.Done()
	}
	return err
}

// clean deletes everything that a walk leaves, except the CRDs.
func (w *walk) clean(ctx context.Context) error {
	all := []error{cluster{"argocd", w.log}.dropNamespace(ctx)}
	for _, stage := range stages() {
		all = append(all, cluster{"pizza-" + stage, w.log}.dropNamespace(ctx))
	}
	return errors.Join(all...)
}

// running waits until the pods match the repository, and describes them.
func (w *walk) running(ctx context.Context, environment string) (string, error) {
	var seen []string
	err := wait(ctx, "the pods of "+environment, 2*time.Minute, func(ctx context.Context) (bool, error) {
		seen = nil
		for _, service := range services() {
			want, err := w.builder.wanted(environment, service)
			if err != nil {
				return false, err
			}
			pods, err := w.environments[environment].pods(ctx, service)
			if err != nil {
				return false, err
			}
			n := 0
			for _, p := range pods {
				switch {
				case p.Metadata.DeletionTimestamp != nil:
				case !p.ready():
					return false, fmt.Errorf("%s is not ready", p.Metadata.Name)
				case !strings.HasSuffix(p.Spec.Containers[0].Image, want):
					return false, fmt.Errorf("%s runs %s, want %s", p.Metadata.Name, p.Spec.Containers[0].Image, want)
				default:
					n++
				}
			}
			if n == 0 {
				return false, errors.New("no pod of " + service)
			}
			seen = append(seen, fmt.Sprintf("%s %d x %s", service, n, short(want)))
		}
		return true, nil
	})
	return strings.Join(seen, ", "), err
}

// short returns the start of a digest, enough to identify it.
func short(digest string) string { return strings.TrimPrefix(digest, "sha256:")[:8] }

// unchanged returns an error unless all pods in before are still ready.
func (e *environment) unchanged(ctx context.Context, before []pod) error {
	after, err := e.pods(ctx, "")
	if err != nil {
		return err
	}
	for _, p := range before {
		if !slices.ContainsFunc(after, func(q pod) bool { return q.Metadata.UID == p.Metadata.UID && q.ready() }) {
			return fmt.Errorf("%s is no longer ready", p.Metadata.Name)
		}
	}
	return nil
}

// stepTable prints the steps for people.
func stepTable(w io.Writer, steps []step) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "STEP\tSECONDS\tSEEN")
	for _, s := range steps {
		seen := s.Seen
		if s.Error != "" {
			seen = "FAILED " + seen
		}
		_, _ = fmt.Fprintf(t, "%s\t%.0f\t%s\n", s.What, s.Seconds, seen)
	}
	return t.Flush()
}
