package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// document is a cacheable JSON answer, in the codings in which it can be sent.
type document struct {
	plain form
	gzip  form // without bytes if there is none
}

// form is a document in one coding. ETags are strong, so each form has its own (RFC 9110,
// section 8.8.3). An ETag is a hash of the bytes rather than the catalog's version: a
// release that encodes differently changes it, and a restored database that repeats
// versions cannot repeat it.
type form struct {
	body   []byte
	etag   string
	length string // of body
}

func newForm(body []byte) form {
	sum := sha256.Sum256(body)
	return form{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`, strconv.Itoa(len(body))}
}

// newDocument encodes v.
func newDocument(v any) (document, error) {
	body, err := json.Marshal(v)
	return document{plain: newForm(body)}, err
}

// withGzip adds the compressed form, which is expensive, for documents that are sent many
// times.
func (d document) withGzip() (document, error) {
	body, err := compress(d.plain.body)
	d.gzip = newForm(body)
	return d, err
}

// reply answers one request with a document.
type reply struct {
	document
	ifNoneMatch, acceptEncoding string
}

// VisitListMenuResponse answers GET /menu/.
func (r reply) VisitListMenuResponse(w http.ResponseWriter) error { return r.write(w) }

// VisitListPizzaTypesResponse answers GET /menu/types/.
func (r reply) VisitListPizzaTypesResponse(w http.ResponseWriter) error { return r.write(w) }

// VisitGetCatalogResponse answers GET /int/menu/catalog.
func (r reply) VisitGetCatalogResponse(w http.ResponseWriter) error { return r.write(w) }

func (r reply) write(w http.ResponseWriter) error {
	h := w.Header()
	f, coding := r.plain, ""
	if r.gzip.body != nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r.acceptEncoding) {
			f, coding = r.gzip, "gzip"
		}
	}
	h.Set("ETag", f.etag)
	h.Set("Cache-Control", "no-cache") // cacheable, with revalidation
	if matches(r.ifNoneMatch, f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", f.length)
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(f.body)
	return err
}

// matches reports whether an If-None-Match field has the ETag, by weak comparison (RFC 9110,
// sections 8.8.3 and 13.1.2). After a syntax error the rest of the field matches nothing.
func matches(ifNoneMatch, etag string) bool {
	rest := strings.Trim(ifNoneMatch, " \t")
	if rest == "*" {
		return true
	}
	for {
		rest = strings.TrimPrefix(strings.TrimLeft(rest, " \t,"), "W/")
		if !strings.HasPrefix(rest, `"`) {
			return false
		}
		end := strings.IndexByte(rest[1:], '"')
		if end < 0 {
			return false
		}
		if rest[:end+2] == etag {
			return true
		}
		rest = rest[end+2:]
	}
}

// joinLists joins the lines of a list header (RFC 9110, section 5.3), since the generated
// code accepts neither a second line nor an empty one.
func joinLists(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Request().Header
		for _, name := range [...]string{"If-None-Match", "Accept-Encoding"} {
			if joined := strings.Join(h.Values(name), ", "); joined != "" {
				h.Set(name, joined)
			} else {
				h.Del(name)
			}
		}
		return next(c)
	}
}
