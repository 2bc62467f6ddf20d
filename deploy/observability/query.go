package observability

import (
	"fmt"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// Read is a metric that a query reads, and the labels in its selector.
type Read struct {
	Metric string
	Labels []string
}

// Reads returns the metrics that a query reads, or an error if it is invalid.
func Reads(query string) ([]Read, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	var reads []Read
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		var r Read
		for _, m := range s.LabelMatchers {
			if m.Name == model.MetricNameLabel {
				r.Metric = m.Value
			} else {
				r.Labels = append(r.Labels, m.Name)
			}
		}
		reads = append(reads, r)
		return nil
	})
	return reads, nil
}
