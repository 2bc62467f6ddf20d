package loadtest

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// chart is a plot of series that share their axes.
type chart struct {
	title  string
	x, y   axis
	series []series
}

// axis has a range from 0 to the largest value, or a name for each of the positions 0, 1, 2, …
type axis struct {
	unit  string // of the x axis; the title has that of the y axis
	names []string
}

// series is a line, or single points.
type series struct {
	name   string
	x, y   []float64
	points bool
}

// Sizes in pixels. A page on GitHub is as wide as a drawing.
const (
	drawingWidth = 840
	letterWidth  = 6.5
	rowHeight    = 18  // of a name on the y axis
	plotHeight   = 170 // of numbers
	marginTop    = 58  // of a title and two lines of names
	marginBottom = 40
	marginRight  = 24
	marginLeft   = 64
)

// colors are those of Okabe and Ito, which color-blind people tell apart.
var colors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"}

// draw returns an SVG of the charts in columns. It has a background of its own, so that it
// can be read in the light and the dark mode of a page.
func draw(columns int, charts ...chart) string {
	width := float64(drawingWidth / columns)
	var body strings.Builder
	top, height := 0.0, 0.0
	for i, c := range charts {
		if i%columns == 0 {
			top, height = top+height, 0
		}
		height = max(height, c.draw(&body, width*float64(i%columns), top, width))
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%[1]d"
    font-family="sans-serif" font-size="11">
<rect width="100%%" height="100%%" rx="8" fill="#ffffff"/>
%[3]s</svg>
`, drawingWidth, top+height, body.String())
}

// draw writes one chart, and returns its height.
func (c chart) draw(w *strings.Builder, left, top, width float64) (height float64) {
	tall, margin := float64(plotHeight), float64(marginLeft)
	if c.y.names != nil {
		tall = rowHeight * float64(len(c.y.names))
		for _, name := range c.y.names {
			margin = max(margin, 16+letterWidth*float64(len([]rune(name))))
		}
	}
	label := func(x, y float64, anchor, attributes, text string) {
		fmt.Fprintf(w, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, attributes, text)
	}
	label(left+16, top+20, "start", ` font-size="13" font-weight="bold"`, html.EscapeString(c.title))
	var xs, ys []float64
	at, below := 16.0, 36.0 // of the next name
	for i, s := range c.series {
		xs, ys = append(xs, s.x...), append(ys, s.y...)
		long := letterWidth * float64(len([]rune(s.name))+2)
		if at+long > width {
			at, below = 16, below+14
		}
		label(left+at, top+below, "start", fmt.Sprintf(` fill="%s"`, colors[i%len(colors)]), html.EscapeString(s.name))
		at += long
	}

	x0, y0 := left+margin, top+marginTop+tall // the origin
	xTicks, xScale := c.x.scale(xs, left+width-marginRight-x0)
	yTicks, yScale := c.y.scale(ys, tall-rowHeight/2)
	for _, t := range yTicks {
		y := y0 - yScale(t.at)
		fmt.Fprintf(w, `<path d="M%.1f %.1fH%.1f" stroke="#e0e0e0"/>`+"\n", x0, y, left+width-marginRight)
		label(x0-6, y+4, "end", "", t.name)
	}
	for _, t := range xTicks {
		x := x0 + xScale(t.at)
		fmt.Fprintf(w, `<path d="M%.1f %.1fv4" stroke="#606060"/>`+"\n", x, y0)
		label(x, y0+16, "middle", "", t.name)
	}
	fmt.Fprintf(w, `<path d="M%.1f %.1fH%.1f" stroke="#606060"/>`+"\n", x0, y0, left+width-marginRight)
	label(left+width-marginRight, y0+30, "end", ` fill="#606060"`, html.EscapeString(c.x.unit))
	for i, s := range c.series {
		color, line := colors[i%len(colors)], make([]string, len(s.x))
		for j := range s.x {
			x, y := x0+xScale(s.x[j]), y0-yScale(s.y[j])
			line[j] = fmt.Sprintf("%.1f,%.1f", x, y)
			if s.points {
				fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="4" fill="%s"/>`+"\n", x, y, color)
			}
		}
		if !s.points {
			fmt.Fprintf(w, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n",
				strings.Join(line, " "), color)
		}
	}
	return marginTop + tall + marginBottom
}

// againstTarget returns a chart with a line for each name, and the points of the series on
// it. The target is a vertical line.
func againstTarget(title string, target float64, names []string, points ...series) chart {
	line := series{name: "target"}
	for i := range names {
		line.x, line.y = append(line.x, target), append(line.y, float64(i))
	}
	for i := range points {
		points[i].y, points[i].points = line.y, true
	}
	return chart{title: title, y: axis{names: names}, series: append(points, line)}
}

type tick struct {
	at   float64
	name string
}

// scale returns the ticks of an axis, and the place of a value on it.
func (a axis) scale(values []float64, length float64) ([]tick, func(float64) float64) {
	var ticks []tick
	if n := len(a.names); n > 0 { // half a position remains at both ends
		for i, name := range a.names {
			ticks = append(ticks, tick{float64(i), html.EscapeString(name)})
		}
		return ticks, func(v float64) float64 { return (v + 0.5) / float64(n) * length }
	}
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v)
	}
	if largest == 0 {
		largest = 1
	}
	step := math.Pow(10, math.Floor(math.Log10(largest)))
	for _, smaller := range []float64{0.5, 0.4} { // to a half, and to a fifth
		if largest/step < 3 {
			step *= smaller
		}
	}
	for at := 0.0; at <= largest*1.001; at += step {
		ticks = append(ticks, tick{at, strconv.FormatFloat(math.Round(at*1000)/1000, 'f', -1, 64)})
	}
	return ticks, func(v float64) float64 { return v / largest * length }
}
