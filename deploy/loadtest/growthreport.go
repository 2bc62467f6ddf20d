package loadtest

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Err returns what ended the run early. A missed target is for people to judge.
func (g *Growth) Err() error {
	if g.Failure != "" {
		return errors.New(g.Failure)
	}
	return nil
}

// Write writes the tables.
func (g *Growth) Write(w io.Writer) error {
	if err := g.Machine.write(w, g.Date); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, `%d rounds of %s; each path at %.0f requests/s
the ratio is the worst to the first size; ! misses the target

`, g.Rounds, g.Round, g.Rate); err != nil {
		return err
	}
	rows := [][]string{{"size", "orders", "lines", "pizzas"}}
	head := []string{"", ""}
	for _, s := range g.Sizes {
		rows = append(rows, []string{s.Name, fmt.Sprint(s.Orders), fmt.Sprint(s.Lines), fmt.Sprint(s.Pizzas)})
		head = append(head, s.Name)
	}
	if err := writeTable(w, rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows = [][]string{append(head, "ratio", "target")}
	for _, row := range g.Rows {
		cells := []string{row.What, row.Unit}
		for _, v := range row.Values {
			cells = append(cells, fmt.Sprintf("%.2f", v))
		}
		cells = append(cells, fmt.Sprintf("%.2f", row.ratio()))
		if row.Target > 0 {
			mark := ""
			if row.ratio() > row.Target {
				mark = " !"
			}
			cells = append(cells, fmt.Sprintf("≤%.2f%s", row.Target, mark))
		}
		rows = append(rows, cells)
	}
	return writeTable(w, rows)
}

// Plots returns the drawings by name.
func (g *Growth) Plots() map[string]string {
	var names []string
	points := make([]series, len(g.Sizes)-1)
	for i := range points {
		points[i].name = g.Sizes[i+1].Name
	}
	for _, row := range slices.Backward(g.Rows) { // the first row is the highest
		if row.Target == 0 {
			continue
		}
		names = append(names, row.What+", "+row.Unit)
		for i := range points {
			points[i].x = append(points[i].x, row.Values[i+1]/row.Values[0])
		}
	}
	ratios := againstTarget("Ratio to the first size; below the target is good", grownTarget, names, points...)
	return map[string]string{"growth": draw(1, ratios)}
}
