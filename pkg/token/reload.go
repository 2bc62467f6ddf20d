package token

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/audit"
)

// Reloader keeps Keys equal to files. The keys of now stay in use while the
// files hold none that can be used.
type Reloader struct {
	*Keys
	config  Config
	read    func(path string) (string, error)
	audit   *audit.Log
	reloads *prometheus.CounterVec
	failing string // why the files cannot be used, as last told
}

// Open returns the keys of a configuration, whose numbers are in registry. now
// is the clock, time.Now outside of tests.
func Open(c Config, log *slog.Logger, registry prometheus.Registerer, now func() time.Time) (*Reloader, error) {
	return open(c, log, registry, now, readFile)
}

func open(
	c Config, log *slog.Logger, registry prometheus.Registerer, now func() time.Time, read func(string) (string, error),
) (*Reloader, error) {
	r := &Reloader{Keys: &Keys{now: now}, config: c, read: read, audit: audit.New(log)}
	keys, err := r.load()
	if err != nil {
		return nil, err
	}
	r.ring.Store(&keys)
	r.reloads = register(registry, r.Keys)
	return r, nil
}

// Run takes up changes of the files until ctx ends; it ends at once when there
// are none to watch.
//
// It looks instead of listening: a Secret is mounted as links to links that are
// exchanged as a whole, some file systems announce no changes, and a look reads
// a few hundred bytes.
func (r *Reloader) Run(ctx context.Context) {
	if !r.config.files() {
		return
	}
	round := time.NewTicker(r.config.Every)
	defer round.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-round.C:
			r.Reload(ctx)
		}
	}
}

// Reload is one look at the files.
func (r *Reloader) Reload(ctx context.Context) {
	found, err := r.load()
	old := *r.ring.Load()
	switch {
	case err != nil:
		r.reloads.WithLabelValues(failed).Inc()
		if why := err.Error(); why != r.failing {
			r.failing = why
			r.audit.KeysRefused(ctx, old.signing().id, old.ids(), err)
		}
		return
	case !found.equal(old):
		r.ring.Store(&found)
		r.reloads.WithLabelValues(changed).Inc()
		r.audit.KeysChanged(ctx, found.signing().id, found.ids())
	case r.failing != "":
		r.audit.KeysRestored(ctx, old.signing().id, old.ids())
	}
	r.failing = ""
}

// load reads all files until two readings agree. They are changed together, and
// to read one before and one after would, for one round, lose the key that has
// moved from the one to the other.
func (r *Reloader) load() (ring, error) {
	before, beforeErr := r.config.load(r.read)
	if !r.config.files() {
		return before, beforeErr
	}
	const readings = 5
	for range readings {
		found, err := r.config.load(r.read)
		if found.equal(before) && (err == nil) == (beforeErr == nil) {
			return found, err
		}
		before, beforeErr = found, err
	}
	return nil, errors.New("the files of the token keys change all the time")
}
