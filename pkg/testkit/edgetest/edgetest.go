// Package edgetest sends HTTP requests that no client library would send.
package edgetest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Disguises returns request targets that some parser might resolve to path, for a
// public port of a server that has path on another port.
func Disguises(path string) []string {
	name := strings.TrimPrefix(path, "/")
	first, rest, _ := strings.Cut(name, "/")
	last := name[len(name)-1:]
	head := name[:len(name)-1]
	targets := []string{path, path + "/", "/api" + path, "/api" + path + "/", path + "?x=/menu/", path + "%3f/menu/", path + "%23/menu/"}
	for _, before := range []string{
		"//", "///", "/./", "/.//", "/;/", "/;a=b/", "/%2e/", "/%2f", "/%5c", "/%20/", "/%00/", "/\\", "/api//", "/api/./", "/API/", "/api;/",
		"/api/api/", "/.;/", "/x/../", "/x/%2e%2e/", "/x/%2E%2E/", "/x/.%2e/", "/x/..;/", "/x/..%2f", "/x/..%5c", "/x/%252e%252e/", "/x/%c0%ae%c0%ae/",
		"/menu/../", "/menu/..//", "/menu/%2e%2e/", "/menu/%2e%2e%2f", "/menu/..%2f", "/menu/..;/", "/menu/.%00./", "/menu/..\\", "/menu/%2e%2e;/",
		"/menu/../../", "/menu//../", "/api/menu/../../", "/api/menu/%2e%2e/%2e%2e/", "/api/menu/..%2f..%2f", "/order/..%2f", "/order/%2e%2e%2f",
		"/login/..;x/", "/docs/../", "/docs/%2e%2e/", "http://127.0.0.1:9000/", "http://localhost/", "//127.0.0.1/",
	} {
		targets = append(targets, before+name)
	}
	for _, after := range []string{".", "..", "./", "/.", "/..", "/./", "//", "%2f", "%00", "%00.json", "%20", "%09", ";", ";/menu/", ";x=y", "\\", "%5c", ".json", "%0d%0a"} {
		targets = append(targets, path+after)
	}
	return append(targets,
		"/"+strings.ToUpper(name), "/"+strings.ToUpper(name[:1])+name[1:], "/api/"+strings.ToUpper(name),
		"/"+encode(name), "/"+head+encode(last), "/"+encode(name[:1])+name[1:], "/"+first+"%2f"+strings.ReplaceAll(rest, "/", "%2f"),
		"/"+first+"//"+rest, "/"+first+"/./"+rest, "/"+first+";/"+rest, "/"+first+"./"+rest, "/"+first+"\\"+rest,
		"/"+strings.ReplaceAll(name, "t", "%EF%BD%94"), // a full-width letter, which some parsers fold
	)
}

// encode percent-encodes every character except the slash.
func encode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c == '/' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]))
	}
	return b.String()
}

// patience bounds the wait for a server that fails to close a connection. Passing
// tests do not depend on it.
const patience = 30 * time.Second

// Answer is one response of a server.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Raw writes text to a server unchanged, closes the sending side, and returns all
// responses until the connection ends.
func Raw(tb testing.TB, addr, text string) []Answer {
	tb.Helper()
	conn := write(tb, addr, text)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // fails if the server has hung up, which Answers notices
	}
	return Answers(tb, conn)
}

// Ending is like Raw, but leaves it to the server to close the connection. A proxy
// takes a closed sending side for a client that went away.
func Ending(tb testing.TB, addr, text string) []Answer {
	tb.Helper()
	return Answers(tb, write(tb, addr, text))
}

// write connects to a server and writes as much of text as it accepts.
func write(tb testing.TB, addr, text string) net.Conn {
	tb.Helper()
	conn, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		tb.Logf("the server takes no more: %v", err) // it may have answered already
	}
	return conn
}

// Get requests a target, sent unchanged, and returns the single response.
func Get(tb testing.TB, addr, method, target string, header ...string) Answer {
	tb.Helper()
	text := method + " " + target + " HTTP/1.1\r\nHost: pizza.test\r\nConnection: close\r\n"
	for _, h := range header {
		text += h + "\r\n"
	}
	answers := Ending(tb, addr, text+"\r\n")
	if len(answers) != 1 {
		tb.Fatalf("%s %s: %d answers", method, target, len(answers))
	}
	return answers[0]
}

// Answers reads responses until the connection ends, and closes it.
func Answers(tb testing.TB, conn net.Conn) []Answer {
	tb.Helper()
	defer func() { _ = conn.Close() }() // everything is read by then
	var out []Answer
	for r := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(r, nil)
		var away net.Error
		if errors.As(err, &away) && away.Timeout() {
			tb.Fatalf("the server keeps the connection after %d answers", len(out))
		}
		if err != nil { // the end, or a reset after a response that left input unread
			return out
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			tb.Logf("the body of answer %d: %v", len(out)+1, err)
		}
		_ = resp.Body.Close()
		out = append(out, Answer{resp.StatusCode, resp.Header, string(body)})
	}
}
