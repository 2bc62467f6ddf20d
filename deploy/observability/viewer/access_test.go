package viewer_test

import (
	"iter"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// testAccess checks what a screen reader needs: a language, landmarks, one h1, no
// skipped heading, labels, and unique ids. Nothing reloads the page as a whole.
func testAccess(t *testing.T, path, page string) {
	t.Helper()
	root := parse(t, page)
	count, level, ids := map[string]int{}, 0, map[string]bool{}
	for n := range elements(root, "") {
		count[n.Data]++
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("%s: the id %s is used twice", path, id)
			}
			ids[id] = true
		}
		switch n.Data {
		case "html":
			if attribute(n, "lang") == "" {
				t.Errorf("%s has no language", path)
			}
		case "h1", "h2", "h3", "h4":
			next := int(n.Data[1] - '0')
			if next > level+1 {
				t.Errorf("%s: %s %q follows h%d", path, n.Data, text(n), level)
			}
			level = next
		case "input", "select":
			if n.Parent.Data != "label" || text(n.Parent) == "" {
				t.Errorf("%s: %s has no label", path, n.Data)
			}
		case "nav":
			if attribute(n, "aria-label") == "" {
				t.Errorf("%s: nav has no name", path)
			}
		case "meta":
			if attribute(n, "http-equiv") == "refresh" {
				t.Errorf("%s reloads itself", path)
			}
		case "a", "button", "th":
			if text(n) == "" {
				t.Errorf("%s: %s has no text", path, n.Data)
			}
		}
	}
	for _, once := range []string{"title", "header", "nav", "main", "h1"} {
		if count[once] != 1 {
			t.Errorf("%s has %d of %s, want one", path, count[once], once)
		}
	}
}

// TestContrast checks the colors in both modes against WCAG: 4.5 for text, 3 for the
// lines of graphs.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("static/page.css")
	if err != nil {
		t.Fatal(err)
	}
	light, dark, found := strings.Cut(string(css), "prefers-color-scheme: dark")
	if !found {
		t.Fatal("there is no dark mode")
	}
	colors := map[string]string{}
	for _, mode := range []string{light, dark} {
		for _, c := range regexp.MustCompile(`--(\w+): (#[0-9a-f]{6})`).FindAllStringSubmatch(mode, -1) {
			colors[c[1]] = c[2]
		}
		for name, want := range map[string]float64{
			"text": 4.5, "faint": 4.5, "link": 4.5, "failed": 4.5, "refused": 4.5, "ok": 4.5,
			"c0": 3, "c1": 3, "c2": 3, "c3": 3, "c4": 3, "c5": 3, "c6": 3, "c7": 3,
		} {
			for _, back := range []string{"back", "panel"} {
				if got := contrast(t, colors[name], colors[back]); got < want {
					t.Errorf("%s %s on %s %s: contrast %.2f, want %.1f", name, colors[name], back, colors[back], got, want)
				}
			}
		}
	}
}

// contrast returns the contrast ratio of WCAG 2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(color string) float64 {
		var sum float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			value, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			c := float64(value) / 255
			if c <= 0.04045 {
				sum += weight * c / 12.92
			} else {
				sum += weight * math.Pow((c+0.055)/1.055, 2.4)
			}
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// elements returns the elements below a node by name, or all of them.
func elements(root *html.Node, name string) iter.Seq[*html.Node] {
	return func(yield func(*html.Node) bool) {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && (name == "" || n.Data == name) && !yield(n) {
				return
			}
		}
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.TrimSpace(b.String())
}
