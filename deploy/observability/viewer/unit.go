package viewer

import (
	"math"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// unit is how the values of a graph are shown: multiplied by Scale, with so many
// decimals, between prefix and suffix. It is the same for all values of a graph, so
// that they can be compared.
type unit struct {
	Scale    float64 `json:"-"`
	Decimals int     `json:"decimals"`
	Prefix   string  `json:"prefix"`
	Suffix   string  `json:"suffix"`
}

// scales are the units of Grafana that have others for small and large values,
// with the first value of each.
var scales = map[string][]struct {
	from, scale float64
	suffix      string
}{
	"s": {
		{0, 1e6, " µs"}, {1e-3, 1e3, " ms"}, {1, 1, " s"},
		{120, 1. / 60, " min"}, {7200, 1. / 3600, " h"}, {172800, 1. / 86400, " d"},
	},
	"bytes": {
		{0, 1, " B"}, {1 << 10, 1. / (1 << 10), " KiB"}, {1 << 20, 1. / (1 << 20), " MiB"}, {1 << 30, 1. / (1 << 30), " GiB"},
	},
}

// unitOf chooses the unit of values up to top. name is Grafana's.
func unitOf(name string, top float64) unit {
	u := unit{Scale: 1}
	for _, s := range scales[name] {
		if top >= s.from {
			u.Scale, u.Suffix = s.scale, s.suffix
		}
	}
	switch name {
	case "percentunit":
		u.Scale, u.Suffix = 100, " %"
	case "reqps":
		u.Suffix = " req/s"
	case "ops":
		u.Suffix = " /s"
	}
	if top > 0 { // three digits of the largest value
		u.Decimals = min(max(2-int(math.Floor(math.Log10(top*u.Scale))), 0), 3)
	}
	return u
}

// text formats a value as page.js does.
func (u unit) text(v float64) string {
	if !finite(v) {
		return "–"
	}
	return u.Prefix + message.NewPrinter(language.English).Sprint(number.Decimal(v*u.Scale, number.Scale(u.Decimals))) + u.Suffix
}
