package app

import (
	"errors"
	"time"

	"example.com/pizza/pkg/admission"
)

// Admission bounds the orders and reads that one process handles at a time.
type Admission struct {
	Concurrency int           `env:"ORDER_CONCURRENCY" envDefault:"0" doc:"Maximum orders that are placed at the same time, fewer than DB_MAX_CONNS so that reads keep connections; 0 is half of DB_MAX_CONNS"`
	Queue       int           `env:"ORDER_QUEUE" envDefault:"100" doc:"Maximum orders, and maximum reads, that wait for their turn; beyond it the answer is 503 at once. Short, so that a spike is rejected rather than delayed"`
	Wait        time.Duration `env:"ORDER_QUEUE_WAIT" envDefault:"1s" rule:"positive" doc:"Maximum wait of an order or a read for its turn; then the answer is 503"`
}

// shares divides the connections between placing and reading orders, so that
// neither can take those of the other. Each order and each read holds one
// connection for one statement. The rest is for the short look-ups before an order
// and for background work.
func (c Config) shares() (placing, reading admission.Limits) {
	placing = admission.Limits{Concurrency: c.Admission.Concurrency, Queue: c.Admission.Queue, Wait: c.Admission.Wait}
	if placing.Concurrency == 0 {
		placing.Concurrency = max(1, int(c.DB.MaxConns)/2)
	}
	reading = placing
	reading.Concurrency = max(1, int(c.DB.MaxConns)-placing.Concurrency-otherConnections)
	return placing, reading
}

const otherConnections = 2

// Validate reports values that contradict each other.
func (c Config) Validate() error {
	var bad []error
	placing, _ := c.shares()
	if c.DB.MaxConns >= 1 && placing.Concurrency >= int(c.DB.MaxConns) {
		bad = append(bad, errors.New("ORDER_CONCURRENCY must be less than DB_MAX_CONNS (which must be at least 2), so that orders leave connections to reads"))
	}
	if c.HTTP.RequestTimeout > 0 && c.Admission.Wait >= c.HTTP.RequestTimeout {
		bad = append(bad, errors.New("ORDER_QUEUE_WAIT must be shorter than REQUEST_TIMEOUT"))
	}
	return errors.Join(bad...)
}
