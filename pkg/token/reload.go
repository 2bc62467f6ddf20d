package token

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/audit"
)

// Reloader keeps Keys equal to key files. The current keys stay in use while the files
// hold no usable keys.
type Reloader struct {
	*Keys
	config  Config
	read    func(path string) (string, error)
	audit   *audit.Log
	reloads *prometheus.CounterVec
	failing string // the last logged reason why the files are unusable
}

// Open returns the keys of a configuration, with metrics in registry. now is the clock:
// time.Now outside of tests.
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

// Run follows changes of the files until ctx ends. It returns at once without files.
//
// It polls: a mounted Secret consists of links that are exchanged as a whole, some file
// systems send no notifications, and a read takes a few hundred bytes.
func (r *Reloader) Run(ctx context.Context) {
	if !r.config.files() {
		return
	}
	round := time.NewTicker(cmp.Or(r.config.Every, DefaultEvery))
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

// Reload reads the files once.
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

// load reads all files until two readings agree. The files change together; reading one
// before and one after a change would lose, for one round, a key that moved between them.
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
	return nil, errors.New("the key files keep changing")
}
