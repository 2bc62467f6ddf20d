// Package hashing creates and checks the stored forms of passwords, a bounded number
// at a time. PASSWORD_HASHES requests hash, each in the memory of one hash;
// PASSWORD_QUEUE requests wait without any; all others are rejected at once.
package hashing

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/password"
	"example.com/pizza/services/login/internal/login"
)

// Hasher is a login.Hasher.
type Hasher struct {
	config  Config
	gate    *admission.Gate
	metrics metrics
}

// New returns a hasher.
func New(c Config, gate *admission.Gate, registry prometheus.Registerer) *Hasher {
	return &Hasher{config: c, gate: gate, metrics: newMetrics(registry)}
}

// Hash implements login.Hasher. It returns Unavailable if there is no place within
// PASSWORD_WAIT.
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

// hash returns the form to store: one that the old system can check, as long as it
// logs members in.
func (h *Hasher) hash(pw string) string {
	if h.config.Upgrade == upgradeOff {
		stored, run := password.HashForDjango(pw)
		h.metrics.observe(run)
		return stored
	}
	began := time.Now()
	stored := h.config.Cost.Hash(pw)
	h.metrics.observe(password.Run{Function: password.Argon2id, Work: h.config.Cost.Work(), Took: time.Since(began)})
	return stored
}

// Verify implements login.Hasher.
func (h *Hasher) Verify(ctx context.Context, stored, pw string, admitted func() error) (login.Verdict, error) {
	leave, err := h.enter(ctx, admitted)
	if err != nil {
		return login.Verdict{}, err
	}
	defer leave()
	v, err := password.Verifier{Cost: h.config.Cost, Ran: h.metrics.observe}.Verify(stored, pw)
	if err != nil || !v.OK {
		return login.Verdict{}, err
	}
	if !v.Outdated || h.config.Upgrade == upgradeOff {
		return login.Verdict{OK: true}, nil
	}
	return login.Verdict{OK: true, Better: h.hash(pw)}, nil // in the same place: it does not wait again
}
