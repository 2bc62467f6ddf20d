package menuclient

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Policy is policy for tests. Its zero values mean one attempt without a
// timeout, the shortest pause, and a breaker that needs one probe.
type Policy struct {
	Attempts       uint
	AttemptTimeout time.Duration
	Window         time.Duration
	Probes         uint32
}

// NewWithPolicy is like New, with another policy.
func NewWithPolicy(c Config, p Policy, log *slog.Logger, registry prometheus.Registerer) (*Client, error) {
	return newClient(c, policy{max(1, p.Attempts), p.AttemptTimeout, time.Millisecond, p.Window, p.Probes}, log, registry)
}
