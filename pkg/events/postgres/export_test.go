package postgres

import "time"

// Reserve sets how long a claimed delivery is reserved for its instance.
func (t *Transport) Reserve(d time.Duration) { t.reserved = d }
