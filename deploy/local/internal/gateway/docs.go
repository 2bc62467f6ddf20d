package gateway

import (
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"
	"strings"

	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5/static"
	"github.com/swaggest/swgui/v5emb"

	"example.com/pizza/pkg/edge"
	"example.com/pizza/pkg/fault"
)

const docsPath = "/docs"

// pagePolicy lets a browser load only from this host, so that the page works
// offline and contacts no third party. Swagger UI needs its inline script and
// styles, and images in data: URLs.
const pagePolicy = "default-src 'none'; connect-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// freshKeys is a plugin of Swagger UI, in JavaScript. It sends a random
// Idempotency-Key unless the user entered one. The key of the example would
// place one order, and then replay or refuse every other one. randomUUID is
// undefined on pages from other hosts without TLS.
const freshKeys = `{statePlugins: {spec: {wrapActions: {executeRequest: (execute) => (request) => {
	const id = "header.Idempotency-Key";
	const parameter = request.operation.get("parameters")?.find((p) => p.get("in") + "." + p.get("name") === id);
	const value = request.parameters[id];
	if (parameter && (!value || value === parameter.get("example"))) {
		const uuid = "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (c) =>
			(c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16));
		request.parameters = Object.assign({}, request.parameters, {[id]: JSON.stringify(uuid)});
	}
	return execute(request);
} } } } }`

// isPage reports whether path belongs to the API page or is "/", which redirects
// to it.
func isPage(path string) bool {
	return path == "/" || path == docsPath || strings.HasPrefix(path, docsPath+"/")
}

// pages returns Swagger UI for the documents of all services, with a menu to
// choose one. Its files are embedded in the binary.
func pages(services []string) http.Handler {
	type document struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	documents := make([]document, 0, len(services))
	for _, s := range services {
		documents = append(documents, document{Name: s, URL: "/" + s + "/openapi.json"})
	}
	urls, err := json.Marshal(documents)
	if err != nil {
		panic(err) // strings always marshal
	}
	return v5emb.NewHandlerWithConfig(swgui.Config{
		Title:      "Pizza API",
		BasePath:   docsPath + "/",
		ShowTopBar: true,
		SettingsUI: map[string]string{
			"url":                  "undefined",
			"urls":                 string(urls),
			"persistAuthorization": "true", // keeps the token when the user switches documents
			"tryItOutEnabled":      "true",
			"plugins":              "[SwaggerUIBundle.plugins.DownloadUrl, " + freshKeys + "]",
		},
		AppendHead: template.HTML(`<meta name="viewport" content="width=device-width, initial-scale=1">`),
	})
}

// isFile reports whether path is a file of the page. For other paths the library
// would answer in plain text.
func isFile(path string) bool {
	name := strings.TrimPrefix(strings.TrimPrefix(path, docsPath), "/")
	if name == "" {
		return true
	}
	for _, suffix := range []string{"", ".gz"} {
		if _, err := fs.Stat(static.FS, name+suffix); err == nil {
			return true
		}
	}
	return false
}

func (g *Gateway) page(w http.ResponseWriter, r *http.Request) {
	switch {
	case !isFile(r.URL.Path):
		g.answer(r.Context(), w, fault.New(fault.NotFound, "not found"))
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		g.answer(r.Context(), w, fault.New(fault.MethodNotAllowed, "method not allowed; see the Allow header"))
		return
	case r.URL.Path == "/":
		http.Redirect(w, r, docsPath, http.StatusFound)
		return
	}
	h := w.Header()
	edge.Protect(h)
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cache-Control", "no-cache") // content changes with the binary
	g.pages.ServeHTTP(w, r)
}
