package delivery

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Environments are all, in the order of promotion.
func Environments() []string { return []string{"dev", "stg", "prod"} }

// Services are the images that can be moved alone.
func Services() []string { return []string{"login", "menu", "order"} }

// Migration is the key of the image that applies the migrations.
const Migration = "migration"

// keys are those of the lines, in their order.
func keys() []string { return append(Services(), Migration) }

// Image is what one line says.
type Image struct {
	Key    string `json:"image"`  // login, menu, order or migration
	Tag    string `json:"tag"`    // the commit that it was built of first; for people
	Digest string `json:"digest"` // sha256:…, which decides
}

// Repository is the last part of the image's name.
func (i Image) Repository() string {
	if i.Key == Migration {
		return "migrate"
	}
	return i.Key
}

// sources are where the commits are that may have changed an image: its module, and what all of them share.
func (i Image) sources() []string {
	module := "services/" + i.Key
	if i.Key == Migration {
		module = "migrations"
	}
	return []string{module, "pkg", "go.work", ".ko.yaml", ":(exclude,glob)**/*_test.go"}
}

func (i Image) line() string {
	return fmt.Sprintf(`%s: {image: {tag: %q, digest: %q}}`, i.Key, i.Tag, i.Digest)
}

// Path is where the images of an environment are written, below the root of the
// repository.
func Path(environment string) string {
	return path.Join("deploy", "environments", environment, "images.yaml")
}

var lines = regexp.MustCompile(`^([a-z]+): \{image: \{tag: "([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})", digest: "(sha256:[0-9a-f]{64})"\}\}$`)

// Parse reads an images.yaml. It is stricter than YAML, so that a change of one
// image is a change of one line: every line that it does not take is named.
func Parse(file string, text []byte) ([]Image, error) {
	found := map[string]Image{}
	var bad []error
	wrong := func(n int, format string, args ...any) {
		bad = append(bad, fmt.Errorf("%s:%d: %s", file, n, fmt.Sprintf(format, args...)))
	}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		content := strings.TrimSuffix(string(line), "\n")
		if content == "" || strings.HasPrefix(content, "#") {
			continue
		}
		m := lines.FindStringSubmatch(content)
		switch {
		case m == nil:
			wrong(n, `want NAME: {image: {tag: "…", digest: "sha256:<64 hex digits>"}}`)
		case !slices.Contains(keys(), m[1]):
			wrong(n, "there is no image %q, but %s", m[1], strings.Join(keys(), ", "))
		case found[m[1]].Key != "":
			wrong(n, "%s is there twice", m[1])
		default:
			found[m[1]] = Image{m[1], m[2], m[3]}
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

// Replace returns the text with other lines for some images, and everything else as
// it was. The text is one that Parse takes.
func Replace(text []byte, images []Image) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		key, _, _ := strings.Cut(string(line), ":")
		i := slices.IndexFunc(images, func(i Image) bool { return i.Key == key })
		if i < 0 {
			out.Write(line)
			continue
		}
		out.WriteString(images[i].line())
		if bytes.HasSuffix(line, []byte("\n")) {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// of returns the image with a key; Parse has seen to it that there is one.
func of(images []Image, key string) Image {
	return images[slices.IndexFunc(images, func(i Image) bool { return i.Key == key })]
}
