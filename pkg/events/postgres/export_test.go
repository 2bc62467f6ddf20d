package postgres

import "time"

// Reserve changes how long a claimed delivery is left to its instance.
func (t *Transport) Reserve(d time.Duration) { t.reserved = d }
