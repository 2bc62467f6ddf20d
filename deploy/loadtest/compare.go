package loadtest

import (
	"fmt"
	"io"

	"golang.org/x/perf/benchmath"
)

// Compare writes how the ratios of a run differ from those of an earlier one, and reports
// whether any became worse. A difference counts if benchstat's test, the Mann-Whitney U
// test, finds it significant. Paths without a yardstick are left out: their figures depend
// on the machine.
func Compare(w io.Writer, before, after *Report) (worse bool, err error) {
	rows := [][]string{{"path", "yardstick", "before", "after", "difference", ""}}
	for _, now := range after.Rows {
		then, ok := before.row(now)
		if !ok || now.Against == "" {
			continue
		}
		was, is := sample(then.ratios()), sample(now.ratios())
		test := benchmath.AssumeNothing.Compare(was, is)
		verdict := ""
		if test.P < test.Alpha {
			verdict = "better"
			if (median(is.Values) < median(was.Values)) == now.moreIsBetter() {
				verdict, worse = "worse", true
			}
		}
		rows = append(rows, []string{
			now.Path, now.Against, fmt.Sprintf("%.2f", median(was.Values)), fmt.Sprintf("%.2f", median(is.Values)),
			test.FormatDelta(median(was.Values), median(is.Values)) + " (" + test.String() + ")", verdict,
		})
	}
	return worse, writeTable(w, rows)
}

// row returns the row of the same path and yardstick.
func (r *Report) row(like Row) (Row, bool) {
	for _, row := range r.Rows {
		if row.Path == like.Path && row.Against == like.Against {
			return row, true
		}
	}
	return Row{}, false
}
