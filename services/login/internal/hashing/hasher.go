// Package hashing makes and checks the stored form of passwords, a bounded number
// at once, and gives every refusal the same work.
//
// A call passes the gate of package admission: PASSWORD_HASHES requests hash, each
// in the memory of one hash, PASSWORD_QUEUE requests wait without any, and the
// rest is refused at once.
//
// # The work of a refusal
//
// A refusal does the work of the dearest form that this process has met, and at
// least that of one new hash. Nothing reads the table for it. Before a process has
// met its first hash of Django's, refusing a wrong password of such a member takes
// longer than refusing an unknown id; that refusal is the meeting, so it tells of
// one member at most, or of as many as are tried at that moment. Members who log
// in make it happen, in a table with many such hashes within seconds.
package hashing

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/password"
)

// Hasher hashes and checks passwords.
type Hasher struct {
	config  Config
	gate    *admission.Gate
	metrics metrics

	mu      sync.Mutex
	ceiling password.Ceiling // of the forms met so far
}

// New returns a hasher.
func New(c Config, gate *admission.Gate, registry prometheus.Registerer) *Hasher {
	return &Hasher{config: c, gate: gate, metrics: newMetrics(registry)}
}

// Hash returns the form in which a password is stored. admitted is called when the
// request has a place, before the work; Hash returns its error. Hash returns
// Unavailable if there is no place, now or within PASSWORD_WAIT.
func (h *Hasher) Hash(ctx context.Context, pw string, admitted func() error) (string, error) {
	leave, err := h.enter(ctx, admitted)
	if err != nil {
		return "", err
	}
	defer leave()
	return h.hash(pw), nil
}

func (h *Hasher) enter(ctx context.Context, admitted func() error) (leave func(), err error) {
	leave, err = h.gate.Enter(ctx)
	if err != nil {
		return nil, err
	}
	if err := admitted(); err != nil {
		leave()
		return nil, err
	}
	return leave, nil
}

func (h *Hasher) hash(pw string) string {
	began := time.Now()
	stored := h.config.Cost.Hash(pw)
	h.metrics.ran(password.Run{Function: password.Argon2id, Work: h.config.Cost.Work(), Took: time.Since(began)})
	return stored
}

// Verdict is the result of Verify.
type Verdict struct {
	OK     bool
	Better string // with OK: the form to store instead; "" to leave what is stored
}

// Verify reports whether stored is a form of this password. An empty stored form,
// that of an unknown id, is the form of no password. It returns
// password.ErrUnreadable, after the same work, for a stored hash of an unknown
// kind. admitted and Unavailable are as for Hash.
func (h *Hasher) Verify(ctx context.Context, stored, pw string, admitted func() error) (Verdict, error) {
	leave, err := h.enter(ctx, admitted)
	if err != nil {
		return Verdict{}, err
	}
	defer leave()
	v, err := password.Verifier{Cost: h.config.Cost, Ceiling: h.meet(stored), Ran: h.metrics.ran}.Verify(stored, pw)
	if err != nil || !v.OK {
		return Verdict{}, err
	}
	if !v.Outdated || h.config.Upgrade == upgradeOff {
		return Verdict{OK: true}, nil
	}
	return Verdict{OK: true, Better: h.hash(pw)}, nil // in the same place: it does not wait again
}

// meet returns the ceiling, raised by stored.
func (h *Hasher) meet(stored string) password.Ceiling {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ceiling = h.ceiling.With(stored)
	return h.ceiling
}
