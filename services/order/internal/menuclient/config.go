package menuclient

import (
	"errors"
	"time"
)

// Config is where the menu service is, and how calls to it are guarded. The
// defaults fit together: three attempts and the pauses between them fit into
// the budget, and the budget into a request.
//
// A value made by hand may leave fields at zero: that guard is then off.
type Config struct {
	BaseURL string `env:"MENU_BASE_URL,required,notEmpty" rule:"url=http|https" doc:"Internal address of the menu service, such as http://menu-svc:9000"`

	Timeout        time.Duration `env:"MENU_TIMEOUT" envDefault:"2s" rule:"positive" doc:"Longest wait of one call to menu, retries included; a request that has less time left waits less"`
	AttemptTimeout time.Duration `env:"MENU_ATTEMPT_TIMEOUT" envDefault:"600ms" rule:"positive" doc:"Longest wait of one attempt: many times a normal answer, and short enough that MENU_ATTEMPTS of them fit into MENU_TIMEOUT"`
	Attempts       uint          `env:"MENU_ATTEMPTS" envDefault:"3" rule:"min=1" doc:"Most attempts of one call, all within MENU_TIMEOUT; more would only add load to a menu that is already in trouble"`
	Backoff        time.Duration `env:"MENU_BACKOFF" envDefault:"50ms" rule:"positive" doc:"Pause before the second attempt, doubled for each further one, and up to half longer or shorter at random, so that callers do not return in step"`
	Concurrency    int           `env:"MENU_CONCURRENCY" envDefault:"32" rule:"min=1" doc:"Most calls to menu at the same time, so that a slow menu cannot hold every request; also how many connections are kept open"`
	QueueWait      time.Duration `env:"MENU_QUEUE_WAIT" envDefault:"100ms" doc:"Longest wait for one of those places before the answer is 503: enough for a short burst"`

	Window       time.Duration `env:"BREAKER_WINDOW" envDefault:"30s" doc:"Rolling time over which calls are judged; not short, since cached prices leave few calls"`
	FailureRatio float64       `env:"BREAKER_FAILURE_RATIO" envDefault:"0.5" rule:"positive" doc:"Share of failed calls in the window that opens the breaker, above 0 and at most 1"`
	MinRequests  uint32        `env:"BREAKER_MIN_REQUESTS" envDefault:"5" rule:"min=1" doc:"Least number of calls in the window before they are judged, so that one bad call is no verdict"`
	OpenFor      time.Duration `env:"BREAKER_OPEN_FOR" envDefault:"5s" rule:"positive" doc:"How long menu is left alone before it is tried again; about what a restart takes"`
	Probes       uint32        `env:"BREAKER_PROBES" envDefault:"2" rule:"min=1" doc:"Calls that try menu again after that; all must succeed to close the breaker"`
}

// Validate reports times that do not fit each other.
func (c Config) Validate() error {
	var bad []error
	if c.AttemptTimeout > c.Timeout && c.Timeout > 0 {
		bad = append(bad, errors.New("MENU_ATTEMPT_TIMEOUT must not be longer than MENU_TIMEOUT"))
	}
	if c.Window < buckets*time.Millisecond {
		bad = append(bad, errors.New("BREAKER_WINDOW must be at least 10ms"))
	}
	return errors.Join(bad...)
}
