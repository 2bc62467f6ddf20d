package loadtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"github.com/tsenart/vegeta/v12/lib/plot"
)

// pointsPerLine bounds the points that a line of the plot is drawn with.
const pointsPerLine = 2000

// WritePage writes an HTML page with the tables and a plot of the latencies.
func (r *Report) WritePage(path string) error {
	p := plot.New(plot.Title("Latency by schedule"), plot.Downsample(pointsPerLine), plot.Label(func(a *vegeta.Result) string {
		if a.Error == "" {
			return "OK"
		}
		return "refused"
	}))
	slices.SortStableFunc(r.answers, func(a, b vegeta.Result) int { return cmp.Compare(a.Seq, b.Seq) })
	for i := range r.answers {
		if err := p.Add(&r.answers[i]); err != nil {
			return fmt.Errorf("plot the latencies: %w", err)
		}
	}
	p.Close()
	var page, tables bytes.Buffer
	if _, err := p.WriteTo(&page); err != nil {
		return fmt.Errorf("plot the latencies: %w", err)
	}
	if err := r.Write(&tables); err != nil {
		return err
	}
	end := []byte("</body>")
	text := "<pre>" + html.EscapeString(tables.String()) + "</pre>\n</body>"
	if !bytes.Contains(page.Bytes(), end) {
		return errors.New("plot the latencies: the page has no body")
	}
	return writeFile(path, bytes.Replace(page.Bytes(), end, []byte(text), 1))
}

// WritePage writes an HTML page with the tables and the drawings.
func (r *Soak) WritePage(path string) error { return writePage(path, "Soak", r) }

// WritePage writes an HTML page with the tables and the drawings.
func (g *Growth) WritePage(path string) error { return writePage(path, "Growth", g) }

func writePage(path, title string, r Result) error {
	var tables, plots strings.Builder
	if err := r.Write(&tables); err != nil {
		return err
	}
	for _, svg := range r.Plots() {
		plots.WriteString(svg)
	}
	return writeFile(path, fmt.Appendf(nil, `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>%s</title></head>
<body>
%s<pre>%s</pre>
</body>
</html>
`, title, plots.String(), html.EscapeString(tables.String())))
}

// Result is what a run has measured.
type Result interface {
	Write(w io.Writer) error     // the tables
	WritePage(path string) error // an HTML page
	Plots() map[string]string    // SVG by name
	Err() error                  // why the run fails
}

// Save writes all measurements as JSON, the page, and the drawings beside the measurements.
func Save(r Result, asJSON, page string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(asJSON, append(b, '\n')); err != nil {
		return err
	}
	for name, svg := range r.Plots() {
		if err := writeFile(filepath.Join(filepath.Dir(asJSON), name+".svg"), []byte(svg)); err != nil {
			return err
		}
	}
	return r.WritePage(page)
}

// ReadJSON reads the report of an earlier run.
func ReadJSON(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.Rows) == 0 {
		return nil, fmt.Errorf("%s: no measurements", path)
	}
	return &r, nil
}

func writeFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
