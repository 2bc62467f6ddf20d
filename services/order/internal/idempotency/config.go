package idempotency

import (
	"errors"
	"time"
)

// Config bounds the age of receipts.
type Config struct {
	TTL   time.Duration `env:"IDEMPOTENCY_TTL" envDefault:"24h" rule:"positive" doc:"Minimum time for which an order with an Idempotency-Key can be repeated without being placed again. Longer than any client keeps retrying"`
	Every time.Duration // pause between two rounds of deleting; 0 is defaultEvery, which only tests change
}

// Validate reports a TTL below the minimum that the database enforces.
func (c Config) Validate() error {
	if c.TTL < time.Hour { // forget_answers deletes nothing younger
		return errors.New("IDEMPOTENCY_TTL must be at least 1h")
	}
	return nil
}

// defaultEvery is short, so that each round is small.
const defaultEvery = 5 * time.Minute
