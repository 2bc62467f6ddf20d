package observability

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Shortest is the minimum window that Faster produces: a few scrapes in a test.
const Shortest = 2 * time.Second

// Faster returns equivalent rules with shorter times, for tests. Windows and
// thresholds in seconds are divided by factor, with Shortest as the minimum. The
// for clause is divided without a minimum. Rates, ratios and counts stay the same.
func Faster(f RuleFile, factor int) (RuleFile, error) {
	var fast RuleFile
	for _, g := range f.Groups {
		g.Interval = ""
		rules := make([]Rule, len(g.Rules))
		for i, r := range g.Rules {
			expr, err := fasterExpr(r.Expr, factor)
			if err != nil {
				return RuleFile{}, fmt.Errorf("%s%s: %w", r.Alert, r.Record, err)
			}
			r.Expr = expr
			if r.For != "" {
				// ParseDuration lacks Prometheus's days and weeks, but no rule uses them.
				d, err := time.ParseDuration(r.For)
				if err != nil {
					return RuleFile{}, fmt.Errorf("%s: %w", r.Alert, err)
				}
				r.For = fmt.Sprintf("%dms", (d / time.Duration(factor)).Milliseconds())
			}
			rules[i] = r
		}
		g.Rules = rules
		fast.Groups = append(fast.Groups, g)
	}
	return fast, nil
}

func fasterExpr(query string, factor int) (string, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		return "", err
	}
	shorter := func(d time.Duration) time.Duration { return max(d/time.Duration(factor), Shortest) }
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.MatrixSelector:
			n.Range = shorter(n.Range)
		case *parser.SubqueryExpr:
			n.Range, n.Step = shorter(n.Range), 250*time.Millisecond
		case *parser.BinaryExpr:
			bound, ok := n.RHS.(*parser.NumberLiteral)
			if ok && n.Op.IsComparisonOperator() && inSeconds(n.LHS) {
				bound.Val = shorter(time.Duration(bound.Val) * time.Second).Seconds()
			}
		}
		return nil
	})
	return expr.String(), nil
}

// inSeconds reports whether an expression is in seconds: a gauge in seconds, or
// an aggregate of one.
func inSeconds(e parser.Expr) bool {
	if a, ok := e.(*parser.AggregateExpr); ok {
		e = a.Expr
	}
	s, ok := e.(*parser.VectorSelector)
	return ok && strings.HasSuffix(s.Name, "_seconds")
}
