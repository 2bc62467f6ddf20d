package revocation

import (
	"errors"
	"time"
)

// Config says how far what a process knows may lag behind, and what then.
type Config struct {
	Refresh   time.Duration `env:"REVOCATIONS_REFRESH" envDefault:"5s" doc:"Pause between reads of new revocations beside the notifications of the database, which come at once; bounds the delay where they do not get through, as with a pooler"`
	MaxAge    time.Duration `env:"REVOCATIONS_MAX_AGE" envDefault:"30s" doc:"Age of the last read beyond which a check of a token reads first; longer than REVOCATIONS_REFRESH, so that no request waits for a database that is well"`
	WhenStale string        `env:"REVOCATIONS_WHEN_STALE" envDefault:"refuse" doc:"What becomes of a good token when that read fails: refuse (503) or accept; to refuse costs little, since what members do with tokens needs the same database"`
}

// What WhenStale may be.
const (
	refuse = "refuse"
	accept = "accept"
)

// Validate reports every value that a Set cannot work with.
func (c Config) Validate() error {
	var bad []error
	if c.Refresh <= 0 {
		bad = append(bad, errors.New("REVOCATIONS_REFRESH must be longer than 0s"))
	}
	if c.MaxAge <= c.Refresh {
		bad = append(bad, errors.New("REVOCATIONS_MAX_AGE must be longer than REVOCATIONS_REFRESH"))
	}
	if c.WhenStale != refuse && c.WhenStale != accept {
		bad = append(bad, errors.New("REVOCATIONS_WHEN_STALE must be refuse or accept"))
	}
	return errors.Join(bad...)
}
