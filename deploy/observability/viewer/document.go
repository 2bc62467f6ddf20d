package viewer

import (
	"bytes"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
)

// markdown renders as GitHub does, with its anchors. Raw HTML is left out.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()),
)

// document renders a Markdown page. Its path is that in the repository, so that the
// links between pages work.
func (v *Viewer) document(q *http.Request) (content, error) {
	name := q.PathValue("path")
	if path.Ext(name) != ".md" {
		return content{}, errNotFound
	}
	text, err := fs.ReadFile(v.Root, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return content{}, errNotFound
	}
	var b bytes.Buffer
	if err == nil {
		err = markdown.Convert(text, &b)
	}
	rendered := template.HTML(b.String()) //nolint:gosec // goldmark escapes the text
	return content{strings.TrimSuffix(path.Base(name), ".md"), rendered}, err
}
