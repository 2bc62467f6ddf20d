package httpapi

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/services/order/internal/order"
)

// repeats counts the orders that were asked for with a key that was in use.
type repeats struct{ replayed, inWork, mismatch prometheus.Counter }

func newRepeats(r prometheus.Registerer) repeats {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "order_idempotency_repeats_total",
		Help: "Orders whose Idempotency-Key was in use, by outcome: replayed (the first answer again), in_work (409), mismatch (422).",
	}, []string{"outcome"})
	r.MustRegister(outcomes)
	return repeats{outcomes.WithLabelValues("replayed"), outcomes.WithLabelValues("in_work"), outcomes.WithLabelValues("mismatch")}
}

func (c repeats) count(r order.Receipt, err error) {
	switch {
	case r.Repeated:
		c.replayed.Inc()
	case errors.Is(err, order.ErrInWork):
		c.inWork.Inc()
	case errors.Is(err, order.ErrOtherOrder):
		c.mismatch.Inc()
	}
}
