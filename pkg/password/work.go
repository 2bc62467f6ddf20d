package password

import "time"

// Work is what a stored form takes to check.
type Work struct {
	Blocks     uint64 // of Argon2id: KiB of memory times passes
	Passes     uint32 // of Argon2id: how the blocks are arranged
	Iterations uint32 // of PBKDF2
}

func (w Work) none() bool { return w.Blocks == 0 && w.Iterations == 0 }

// The functions that a Run may be of.
const (
	Argon2id = "argon2id"
	PBKDF2   = "pbkdf2_sha256"
)

// Run is one run of a key derivation function.
type Run struct {
	Function string // Argon2id or PBKDF2
	Work     Work
	Took     time.Duration
}

// Ceiling is the work that refusals are leveled to: the most that any of some
// stored forms takes, of each function. Passes are those of the form with the most
// blocks. The work in its place is arranged like it, because the same work on more
// memory takes longer.
type Ceiling Work

// With returns the ceiling raised by a stored form. A form that cannot be read adds
// nothing: it is never computed.
func (c Ceiling) With(stored string) Ceiling {
	f, err := parse(stored)
	if err != nil {
		return c
	}
	return c.with(f.work())
}

func (c Ceiling) with(w Work) Ceiling {
	if w.Blocks > c.Blocks {
		c.Blocks, c.Passes = w.Blocks, w.Passes
	}
	c.Iterations = max(c.Iterations, w.Iterations)
	return c
}

// minus returns what is left to the ceiling, which is at least w.
func (c Ceiling) minus(w Work) Work {
	return Work{c.Blocks - w.Blocks, c.Passes, c.Iterations - w.Iterations}
}

// run runs a function and tells of it; no work is no run.
func (v Verifier) run(w Work, function func() bool) bool {
	began := time.Now()
	ok := function()
	if v.Ran == nil || w.none() {
		return ok
	}
	r := Run{Function: Argon2id, Work: w, Took: time.Since(began)}
	if w.Iterations > 0 {
		r.Function = PBKDF2
	}
	v.Ran(r)
	return ok
}
