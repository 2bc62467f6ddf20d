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

// document is a JSON answer that its caller may keep.
type document struct {
	body  []byte
	etag  string
	known bool // the caller has these bytes already
}

// newDocument writes v down. The ETag is strong, and a hash of the bytes rather
// than the catalog's version: a release that writes them differently changes
// it, and a restored database that counts versions anew cannot repeat an old one.
func newDocument(v any, ifNoneMatch string) (document, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return document{}, err
	}
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return document{body: body, etag: etag, known: matches(ifNoneMatch, etag)}, nil
}

// VisitListMenuResponse answers GET /menu/.
func (d document) VisitListMenuResponse(w http.ResponseWriter) error { return d.write(w) }

// VisitListPizzaTypesResponse answers GET /menu/types/.
func (d document) VisitListPizzaTypesResponse(w http.ResponseWriter) error { return d.write(w) }

func (d document) write(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("ETag", d.etag)
	h.Set("Cache-Control", "no-cache") // keep it, but ask before using it again
	if d.known {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(d.body)
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

// joinIfNoneMatch makes one line of a list that came in several (RFC 9110,
// section 5.3), since the generated code takes no second and no empty one.
func joinIfNoneMatch(next echo.HandlerFunc) echo.HandlerFunc {
	const name = "If-None-Match"
	return func(c echo.Context) error {
		h := c.Request().Header
		if joined := strings.Join(h.Values(name), ", "); joined != "" {
			h.Set(name, joined)
		} else {
			h.Del(name)
		}
		return next(c)
	}
}
