package order

import "github.com/prometheus/client_golang/prometheus"

// sales are the numbers of the business: what was ordered through this process
// since it started. An order that is asked for again under its key is not
// counted again, and one of which the database has not said whether it is kept is
// not counted at all: the books are in the database. Branches are as many as the
// shop has.
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

func (s sales) count(o Order) {
	s.orders.WithLabelValues(*o.BranchID).Inc()
	s.revenue.WithLabelValues(*o.BranchID).Add(o.Total.Float())
	s.lines.Add(float64(len(o.Lines)))
	for _, l := range o.Lines {
		s.pizzas.Add(float64(l.Quantity))
	}
}
