package password

import "time"

// The key derivation functions of a Run.
const (
	Argon2id = "argon2id"
	PBKDF2   = "pbkdf2_sha256"
)

// Run is one run of a key derivation function.
type Run struct {
	Function string // Argon2id or PBKDF2
	Work     uint64 // KiB of memory times passes of Argon2id; iterations of PBKDF2
	Took     time.Duration
}

// pad does the work of one new hash less that of an Argon2id form, on no password.
// It takes no more memory than a new hash.
func (v Verifier) pad(password string, own uint64) {
	rest := v.Cost.Work() - min(own, v.Cost.Work())
	if memory := uint32(rest / uint64(v.Cost.Passes)); memory > 0 { //nolint:gosec // at most maxMemory
		v.run(argon2id{memory: memory, passes: v.Cost.Passes, threads: 1, salt: make([]byte, saltLength), key: make([]byte, keyLength)}, password)
	}
}

// run checks the password against a form, and reports the run of its function.
func (v Verifier) run(f form, password string) bool {
	began := time.Now()
	ok := f.matches(password)
	if function, work := f.work(); v.Ran != nil && work > 0 {
		v.Ran(Run{Function: function, Work: work, Took: time.Since(began)})
	}
	return ok
}
