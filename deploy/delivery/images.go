package delivery

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Services returns the images that can be moved separately.
func Services() []string { return []string{"login", "menu", "order"} }

// Migration is the key of the image that applies the migrations.
const Migration = "migration"

// Chart is the key of the chart, which is an artifact of the registry too.
const Chart = "chart"

// keys returns the keys of the lines, in order.
func keys() []string { return append(Services(), Migration, Chart) }

// Image is the content of one line.
type Image struct {
	Key    string // login, menu, order, migration or chart
	Tag    string // the first commit it was built from, or the chart's version; for people
	Digest string // sha256:…, which decides what runs
}

// Repository returns the image's name without the registry.
func (i Image) Repository() string {
	switch i.Key {
	case Migration:
		return "migrate"
	case Chart:
		return "charts/pizza"
	}
	return i.Key
}

// commit returns the git revision in the tag.
func (i Image) commit() string {
	if i.Key != Chart {
		return i.Tag
	}
	if _, commit, found := strings.Cut(i.Tag, "-g"); found {
		return commit
	}
	return "v" + i.Tag
}

// sources returns the paths whose commits can change an image: its module and the shared code. For the
// chart it is the chart's folder.
func (i Image) sources() []string {
	module := "services/" + i.Key
	switch i.Key {
	case Migration:
		module = "migrations"
	case Chart:
		return []string{"helm"}
	}
	return []string{module, "pkg", "go.work", ".ko.yaml", ":(exclude,glob)**/*_test.go"}
}

// name returns the name of the line, which is a value of the chart. The pin of the chart
// itself is a global.
func (i Image) name() string {
	if i.Key == Chart {
		return "global"
	}
	return i.Key
}

func (i Image) line() string {
	value := "image"
	if i.Key == Chart {
		value = Chart
	}
	return fmt.Sprintf(`%s: {%s: {tag: %q, digest: %q}}`, i.name(), value, i.Tag, i.Digest)
}

// Path returns the file with the images of an environment, relative to the root of the
// repository.
func Path(environment string) string {
	return path.Join("deploy", "environments", environment, "images.yaml")
}

var lines = regexp.MustCompile(`^(?:([a-z]+): \{image|global: \{(chart)): \{tag: "([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})", digest: "(sha256:[0-9a-f]{64})"\}\}$`)

// Parse reads an images.yaml. It is stricter than YAML, so that a change of one
// image is a change of one line. The error names every invalid line.
func Parse(file string, text []byte) ([]Image, error) {
	found := map[string]Image{}
	var bad []error
	wrong := func(n int, format string, args ...any) {
		bad = append(bad, fmt.Errorf("%s:%d: %s", file, n, fmt.Sprintf(format, args...)))
	}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := lines.FindStringSubmatch(line)
		switch {
		case m == nil:
			wrong(n+1, `want NAME: {image: {tag: "…", digest: "sha256:<64 hex digits>"}}, or global: {chart: {…}}`)
		case m[2] == "" && (m[1] == Chart || !slices.Contains(keys(), m[1])):
			wrong(n+1, "unknown image %q (%s)", m[1], strings.Join(append(Services(), Migration), ", "))
		case found[m[1]+m[2]].Key != "":
			wrong(n+1, "%s is there twice", m[1]+m[2])
		default:
			found[m[1]+m[2]] = Image{m[1] + m[2], m[3], m[4]}
		}
	}
	var all []Image
	for _, key := range keys() {
		if found[key].Key == "" && len(bad) == 0 {
			bad = append(bad, fmt.Errorf("%s: %s is missing", file, key))
		}
		all = append(all, found[key])
	}
	return all, errors.Join(bad...)
}

// Replace returns the text with new lines for some images, and otherwise unchanged.
// Parse must accept the text.
func Replace(text []byte, images []Image) []byte {
	all := strings.Split(string(text), "\n")
	for n, line := range all {
		for _, i := range images {
			if strings.HasPrefix(line, i.name()+": ") {
				all[n] = i.line()
			}
		}
	}
	return []byte(strings.Join(all, "\n"))
}

// of returns the image with a key. Parse ensures that it exists.
func of(images []Image, key string) Image {
	return images[slices.IndexFunc(images, func(i Image) bool { return i.Key == key })]
}
