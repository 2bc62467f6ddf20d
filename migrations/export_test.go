package migrations

import "time"

// MomentOf is momentOf, now.
func MomentOf(date, clock string, zone *time.Location) (time.Time, error) {
	return momentOf(date, clock, zone, time.Now())
}
