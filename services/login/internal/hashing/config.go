package hashing

import (
	"runtime"
	"time"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/password"
)

// Config bounds hashing, and reports whether old forms are replaced.
type Config struct {
	Hashes  int           `env:"PASSWORD_HASHES" envDefault:"0" doc:"Maximum passwords that are hashed at the same time, with PASSWORD_MEMORY_KIB of memory each; 0 is one per CPU"`
	Queue   int           `env:"PASSWORD_QUEUE" envDefault:"100" doc:"Maximum requests that wait to hash; beyond it the answer is 503 at once. A waiting request holds no hashing memory"`
	Wait    time.Duration `env:"PASSWORD_WAIT" envDefault:"2s" doc:"Maximum wait of a request to hash; then the answer is 503"`
	Upgrade string        `env:"PASSWORD_UPGRADE" envDefault:"on" rule:"oneof=on|off" doc:"Replace outdated password hashes and clear text at login: on or off; off while the old system logs members in against the same rows. New passwords are then stored as Django's pbkdf2_sha256"`
	Cost    password.Cost
}

const upgradeOff = "off"

// Limits returns the bounds of the gate.
func (c Config) Limits() admission.Limits {
	l := admission.Limits{Concurrency: c.Hashes, Queue: c.Queue, Wait: c.Wait}
	if l.Concurrency == 0 {
		l.Concurrency = runtime.GOMAXPROCS(0)
	}
	return l
}
