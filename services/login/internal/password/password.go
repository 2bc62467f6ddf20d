// Package password makes and checks the stored form of passwords.
//
// New ones are Argon2id (RFC 9106) in the PHC string format, which fits the
// VARCHAR(100) of the member table. Two older forms of a database that was
// taken over verify too, and count as outdated: clear text (the monolith) and
// Django's pbkdf2_sha256 (its successor).
//
// Hasher bounds the memory: only so many hashes are in work at once, and a
// caller that finds no place within a bounded wait is told to come back. Every
// check does the work of one hash, also for a member that does not exist and
// for clear text, so that its duration does not tell them apart. A hash of
// Django's takes longer, by its number of iterations, until its member logs in
// and the hash is replaced.
//
// A stored hash never works as a password: what looks like a hash of any known
// kind is not compared as text, even where it is of a kind that is not read
// here.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"time"

	"example.com/pizza/pkg/fault"
)

// Config is how much hashing is done at once, and whether old forms are replaced.
type Config struct {
	Hashes  int           `env:"PASSWORD_HASHES" envDefault:"0" doc:"Most passwords that are hashed at the same time, 19 MiB of memory each; 0 is one per CPU"`
	Wait    time.Duration `env:"PASSWORD_WAIT" envDefault:"2s" doc:"Longest wait of a request for its turn to hash; then the answer is 429"`
	Upgrade string        `env:"PASSWORD_UPGRADE" envDefault:"on" doc:"Replace outdated password hashes and clear text at login: on or off; off while the old system logs members in against the same rows"`
}

const (
	upgradeOn  = "on"
	upgradeOff = "off"
)

// Validate reports every value that cannot be used.
func (c Config) Validate() error {
	var bad []error
	if c.Hashes < 0 {
		bad = append(bad, errors.New("PASSWORD_HASHES must not be negative"))
	}
	if c.Wait < 0 {
		bad = append(bad, errors.New("PASSWORD_WAIT must not be negative"))
	}
	if c.Upgrade != upgradeOn && c.Upgrade != upgradeOff {
		bad = append(bad, errors.New("PASSWORD_UPGRADE must be on or off"))
	}
	return errors.Join(bad...)
}

// Upgrades says whether outdated forms are replaced.
func (c Config) Upgrades() bool { return c.Upgrade == upgradeOn }

// Hasher hashes and checks passwords, a bounded number at once.
type Hasher struct {
	places chan struct{}
	wait   time.Duration
}

// NewHasher returns a hasher of a configuration.
func NewHasher(c Config) *Hasher {
	n := c.Hashes
	if n == 0 {
		n = runtime.GOMAXPROCS(0)
	}
	return &Hasher{places: make(chan struct{}, n), wait: c.Wait}
}

// Hash returns the form in which a password is stored. It returns RateLimited
// when the bounded wait is over, and Unavailable when ctx is.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return newArgon2id(password, salt).String(), nil
}

// Verify says whether stored is a form of this password, and if so, whether it
// is outdated: Hash would make a better one. An empty stored form, of a member
// that does not exist, is the form of no password.
//
// It returns ErrUnreadable, after the same work, for a stored hash that is not
// read here; RateLimited when the bounded wait is over; and Unavailable when
// ctx is.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (ok, outdated bool, err error) {
	if err := h.enter(ctx); err != nil {
		return false, false, err
	}
	defer h.leave()
	f, err := parse(stored)
	if err != nil {
		spend(password)
		return false, false, err
	}
	if !f.matches(password) {
		return false, false, nil
	}
	return true, f.outdated(), nil
}

// enter waits for a place among those that hash.
func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.places <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(h.wait)
	defer patience.Stop()
	again := max(h.wait, time.Second)
	select {
	case h.places <- struct{}{}:
		return nil
	case <-patience.C:
		return fault.New(fault.RateLimited, "too many passwords are being checked; try again").Retry(again)
	case <-ctx.Done():
		return fault.Wrap(context.Cause(ctx), fault.Unavailable, "the request took too long; try again").Retry(again)
	}
}

func (h *Hasher) leave() { <-h.places }
