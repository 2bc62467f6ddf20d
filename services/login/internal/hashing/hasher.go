// Package hashing makes and checks the stored form of passwords, a bounded number
// at once, and keeps refusals alike.
//
// A call passes the gate of package admission: so many hash, each in the memory
// of one hash, so many wait without any, and the rest is refused at once. What
// every refusal is levelled to, the dearest hash in the table, comes from a
// survey: one look at the costs that its hashes name, repeated from time to time
// by one of the requests that need it, and raised at once by a dearer row that
// is met in between.
package hashing

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
)

// Table is what the hasher asks of the table of stored passwords.
type Table interface {
	// PasswordCosts returns the different costs of the hashes in it, as
	// password.Ceiling.WithCost reads them.
	PasswordCosts(ctx context.Context) ([]string, error)
}

// Hasher hashes and checks passwords.
type Hasher struct {
	config  Config
	gate    *admission.Gate
	table   Table
	now     func() time.Time
	metrics metrics

	looking chan struct{} // full while somebody looks at the table

	mu      sync.Mutex
	ceiling password.Ceiling
	looked  time.Time // zero: never
}

// New returns a hasher. now is the clock, time.Now outside of tests.
func New(c Config, gate *admission.Gate, table Table, now func() time.Time, registry prometheus.Registerer) *Hasher {
	return &Hasher{
		config: c, gate: gate, table: table, now: now, looking: make(chan struct{}, 1), metrics: newMetrics(registry),
	}
}

// Hash returns the form in which a password is stored. It returns Unavailable
// where there is no place among those that hash, now or within the bounded wait.
func (h *Hasher) Hash(ctx context.Context, pw string) (string, error) {
	leave, err := h.gate.Enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.hash(pw), nil
}

func (h *Hasher) hash(pw string) string {
	began := time.Now()
	stored := h.config.Cost.Hash(pw)
	h.metrics.ran(password.Run{Function: password.Argon2id, Work: h.config.Cost.Work(), Took: time.Since(began)})
	return stored
}

// Verdict is what Verify has to say.
type Verdict struct {
	OK     bool
	Better string // with OK: the form to store instead; "" to leave what is stored
}

// Verify says whether stored is a form of this password. An empty stored form,
// of a member that does not exist, is the form of no password. It returns
// password.ErrUnreadable, after the same work, for a stored hash that is not read
// here, and Unavailable like Hash, or when the table cannot be surveyed.
func (h *Hasher) Verify(ctx context.Context, stored, pw string) (Verdict, error) {
	ceiling, err := h.survey(ctx, stored)
	if err != nil {
		return Verdict{}, err
	}
	leave, err := h.gate.Enter(ctx)
	if err != nil {
		return Verdict{}, err
	}
	defer leave()
	v, err := password.Verifier{Cost: h.config.Cost, Ceiling: ceiling, Ran: h.metrics.ran}.Verify(stored, pw)
	if err != nil || !v.OK {
		return Verdict{}, err
	}
	if !v.Outdated || h.config.Upgrade != upgradeOn {
		return Verdict{OK: true}, nil
	}
	return Verdict{OK: true, Better: h.hash(pw)}, nil // in the same place: whoever is in does not wait again
}

// survey returns the ceiling of the table, which has stored in it.
func (h *Hasher) survey(ctx context.Context, stored string) (password.Ceiling, error) {
	ceiling, looked := h.known(stored)
	if looked.IsZero() {
		// Nobody is answered before the first look; all wait for the one.
		select {
		case h.looking <- struct{}{}:
		case <-ctx.Done():
			return ceiling, fault.Wrap(context.Cause(ctx), fault.Unavailable, "the request took too long; try again").Retry(time.Second)
		}
	} else {
		if h.now().Sub(looked) < h.config.SurveyEvery {
			return ceiling, nil
		}
		select {
		case h.looking <- struct{}{}:
		default:
			return ceiling, nil // somebody else looks; what is known will do meanwhile
		}
	}
	defer func() { <-h.looking }()
	if ceiling, again := h.known(stored); again != looked {
		return ceiling, nil // who was before has looked
	}
	costs, err := h.table.PasswordCosts(ctx)
	switch {
	case err != nil && looked.IsZero():
		return ceiling, err
	case err != nil:
		return ceiling, nil // what was known a minute ago will do, and the next request looks again
	}
	var fresh password.Ceiling
	for _, cost := range costs {
		fresh = fresh.WithCost(cost)
	}
	h.mu.Lock()
	h.ceiling, h.looked = fresh, h.now()
	h.mu.Unlock()
	ceiling, _ = h.known(stored)
	return ceiling, nil
}

// known returns the ceiling, raised by stored, and when the table was looked at.
func (h *Hasher) known(stored string) (password.Ceiling, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ceiling = h.ceiling.With(stored)
	return h.ceiling, h.looked
}
