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

// document is a JSON answer that its caller may keep, in the forms that it can
// be sent in.
type document struct {
	plain form
	gzip  form // without bytes where there is none
}

// form is a document in one coding. The ETag is strong, so each form has its own
// (RFC 9110, section 8.8.3). It is a hash of the bytes rather than the catalog's
// version: a release that writes them differently changes it, and a restored
// database that counts versions anew cannot repeat an old one.
type form struct {
	body []byte
	etag string
}

func newForm(body []byte) form {
	sum := sha256.Sum256(body)
	return form{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}
}

// newDocument writes v down.
func newDocument(v any) (document, error) {
	body, err := json.Marshal(v)
	return document{plain: newForm(body)}, err
}

// withGzip adds the compressed form. That takes longer than all the rest, and
// so is for documents that are sent many times.
func (d document) withGzip() (document, error) {
	body, err := compress(d.plain.body)
	d.gzip = newForm(body)
	return d, err
}

// reply is the answer with a document that suits one request.
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
	h.Set("Cache-Control", "no-cache") // keep it, but ask before using it again
	if matches(r.ifNoneMatch, f.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if coding != "" {
		h.Set("Content-Encoding", coding)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(f.body)
	return err
}

// matches compares an If-None-Match field with the ETag of what is there, by
// the weak comparison (RFC 9110, sections 8.8.3 and 13.1.2). What is not a list
// of ETags matches nothing from there on.
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

// joinLists makes one line of a list that came in several (RFC 9110, section
// 5.3), since the generated code takes no second and no empty one.
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
