package httpapi

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/order"
)

// repeats counts the orders whose key had been used before.
type repeats struct{ replayed, inUse, mismatch prometheus.Counter }

func newRepeats(r prometheus.Registerer) repeats {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "order_idempotency_repeats_total",
		Help: "Orders whose Idempotency-Key was in use, by outcome: replayed (the first answer again), in_work (409), mismatch (422).",
	}, []string{"outcome"})
	r.MustRegister(outcomes)
	return repeats{outcomes.WithLabelValues("replayed"), outcomes.WithLabelValues("in_work"), outcomes.WithLabelValues("mismatch")}
}

func (c repeats) count(replayed bool, err error) {
	switch {
	case replayed:
		c.replayed.Inc()
	case errors.Is(err, idempotency.ErrInUse):
		c.inUse.Inc()
	case errors.Is(err, idempotency.ErrMismatch):
		c.mismatch.Inc()
	}
}

// sales counts the orders that this process has placed. A repeated order is not
// counted again, and an order whose commit was not acknowledged is not counted: the
// books are in the database. The label has as many values as there are branches.
type sales struct {
	orders, revenue *prometheus.CounterVec
	lines, pizzas   prometheus.Counter
}

func newSales(registry prometheus.Registerer) sales {
	branch := []string{"branch"}
	s := sales{
		orders: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_placed_total", Help: "Orders that were placed, by branch.",
		}, branch),
		revenue: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "order_revenue_total", Help: "Totals of the orders that were placed, by branch, in the currency of the menu.",
		}, branch),
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "order_placed_lines_total", Help: "Lines of the orders that were placed.",
		}),
		pizzas: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "order_placed_pizzas_total", Help: "Pizzas that were ordered: the quantities of all lines.",
		}),
	}
	registry.MustRegister(s.orders, s.revenue, s.lines, s.pizzas)
	return s
}

func (s sales) count(o order.Order) {
	s.orders.WithLabelValues(*o.BranchID).Inc()
	s.revenue.WithLabelValues(*o.BranchID).Add(o.Total.Float())
	s.lines.Add(float64(len(o.Lines)))
	for _, l := range o.Lines {
		s.pizzas.Add(float64(l.Quantity))
	}
}
