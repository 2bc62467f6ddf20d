package parity

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Request is a recorded request.
type Request struct {
	Name    string            `json:"name"`
	Method  string            `json:"method"` // GET if empty
	Path    string            `json:"path"`   // with the query
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"` // JSON, or text with the body, such as a form
	As      string            `json:"as"`   // the member who sends it
}

// line is a line of a file: a request, or an entry of an access log.
type line struct {
	Request
	NginxMethod   string `json:"request_method"`
	NginxPath     string `json:"request_uri"`
	TraefikMethod string `json:"RequestMethod"`
	TraefikPath   string `json:"RequestPath"`
}

// ReadRequests reads JSON Lines: requests, or the JSON access log of Traefik (RequestMethod,
// RequestPath) or nginx (request_method, request_uri). Equal requests count once. Without
// writes it leaves out all that are not reads, and returns how many; of a log it always does,
// because a log has no bodies.
func ReadRequests(r io.Reader, writes bool) (requests []Request, leftOut int, err error) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, 0, fmt.Errorf("line %d is not a request: %w", n, err)
		}
		q := l.Request
		logged := q.Path == ""
		if logged {
			q.Method, q.Path = l.NginxMethod+l.TraefikMethod, l.NginxPath+l.TraefikPath
		}
		if q.Method == "" {
			q.Method = http.MethodGet
		}
		if !strings.HasPrefix(q.Path, "/") {
			return nil, 0, fmt.Errorf("line %d: path %q does not begin with /", n, q.Path)
		}
		noBody := logged && q.Method != http.MethodGet && q.Method != http.MethodHead
		if noBody || !writes && !isRead(q.Method, q.Path) {
			leftOut++
			continue
		}
		key, err := json.Marshal(q)
		if err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			requests = append(requests, q)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, 0, err
	}
	if len(requests) == 0 {
		return nil, leftOut, errors.New("there is no read to compare")
	}
	return requests, leftOut, nil
}

// isRead reports whether a request changes nothing. GET /login/logout/ ends a token.
func isRead(method, path string) bool {
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimPrefix(strings.Trim(path, "/"), "api/")
	switch method {
	case http.MethodGet, http.MethodHead:
		return path != "login/logout"
	case http.MethodPost:
		return path == "menu/get_pizza_id"
	default:
		return false
	}
}

// body returns what is sent, and its type.
func (q *Request) body() (body []byte, contentType string) {
	var text string
	switch {
	case len(q.Body) == 0:
		return nil, ""
	case json.Unmarshal(q.Body, &text) == nil:
		return []byte(text), "application/x-www-form-urlencoded"
	default:
		return q.Body, "application/json"
	}
}

// route returns the method and the path of a request, with * for what looks like an id.
func (q *Request) route() string {
	path, _, _ := strings.Cut(q.Path, "?")
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if strings.ContainsAny(segment, "0123456789%") || len(segment) > 24 {
			segments[i] = "*"
		}
	}
	return q.Method + " " + strings.Join(segments, "/")
}
