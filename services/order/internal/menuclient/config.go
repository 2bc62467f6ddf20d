package menuclient

import (
	"errors"
	"time"
)

// Config is the address of menu and the limits of calls to it. Settings that
// nobody can choose better than this code are in policy.
type Config struct {
	BaseURL string        `env:"MENU_BASE_URL,required,notEmpty" rule:"url=http|https" doc:"Internal address of the menu service, such as http://menu-svc:9000"`
	Timeout time.Duration `env:"MENU_TIMEOUT" envDefault:"2s" rule:"positive" doc:"Maximum time of one call to menu, including retries. Each of up to three attempts gets three tenths of it"`

	FailureRatio float64       `env:"BREAKER_FAILURE_RATIO" envDefault:"0.5" rule:"positive" doc:"Share of failed calls within 30 s that opens the circuit breaker, above 0 and at most 1"`
	MinRequests  uint32        `env:"BREAKER_MIN_REQUESTS" envDefault:"5" rule:"min=1" doc:"Minimum calls within 30 s before the circuit breaker can open, so that a single failure does not open it"`
	OpenFor      time.Duration `env:"BREAKER_OPEN_FOR" envDefault:"5s" rule:"positive" doc:"Time for which the open circuit breaker fails calls before it lets probes through; about the duration of a restart"`
}

// maxTimeout is the time that package quotecache gives a read: a longer call would be cut
// short, which says nothing about menu, so the breaker would never open.
const maxTimeout = 10 * time.Second

// Validate reports a timeout that is too long.
func (c Config) Validate() error {
	if c.Timeout > maxTimeout {
		return errors.New("MENU_TIMEOUT must be at most 10s")
	}
	return nil
}
