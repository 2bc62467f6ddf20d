package parity

import (
	_ "embed"
	"html/template"
	"io"
)

//go:embed page.html
var page string

var pageTemplate = template.Must(template.New("page").Parse(page))

// WritePage writes the report as an HTML page that needs no other file.
func (r *Report) WritePage(w io.Writer) error { return pageTemplate.Execute(w, r) }
