package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ANSI colors (ECMA-48, SGR).
const (
	reset  = "\x1b[0m"
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
)

// nameWidth aligns the service names; "gateway" is the longest.
const nameWidth = 7

// silent lists keys that repeat another column, or are the same on every line.
var silent = map[string]bool{"service": true, "version": true, "env": true, "span_id": true}

// pair is one key and value of a log line.
type pair struct{ key, value string }

// Text renders lines of a service's log as readable text, without colors.
func Text(service string, lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.Write(render(service, []byte(l), false))
	}
	return b.String()
}

// render returns one line of a service's log as readable text.
func render(service string, line []byte, color bool) []byte {
	paint := func(style, s string) string {
		if !color || style == "" {
			return s
		}
		return style + s + reset
	}
	name := paint(cyan, fmt.Sprintf("%-*s", nameWidth, service))
	pairs, err := parse(line)
	if err != nil { // output of the Go runtime: a panic or a fatal error
		return fmt.Appendf(nil, "%12s %s %s %s\n", "", name, paint(red, "  |  "), Clean(string(line)))
	}
	var at, level, msg string
	var rest strings.Builder
	for _, p := range pairs {
		switch {
		case p.key == "time":
			at = clock(p.value)
		case p.key == "level":
			level = Clean(p.value)
		case p.key == "msg":
			msg = Clean(p.value)
		case silent[p.key]:
		case p.key == "error":
			rest.WriteString(" " + paint(red, p.key+"="+quote(p.value)))
		default:
			rest.WriteString(" " + paint(dim, p.key+"=") + quote(p.value))
		}
	}
	style := ""
	switch level {
	case "ERROR":
		style = bold + red
	case "WARN":
		style = yellow
	case "DEBUG":
		style = dim
	}
	return fmt.Appendf(nil, "%s %s %s %s%s\n", paint(dim, fmt.Sprintf("%12s", at)), name, paint(style, fmt.Sprintf("%-5s", level)),
		paint(style, msg), rest.String())
}

// parse parses a JSON object. Keys of nested objects are joined with dots.
func parse(line []byte) ([]pair, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("no JSON object")
	}
	pairs, err := members(d, "", nil)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than a JSON object")
	}
	return pairs, nil
}

func members(d *json.Decoder, prefix string, pairs []pair) ([]pair, error) {
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		key := prefix + fmt.Sprint(t)
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, fmt.Errorf("value of %s: %w", key, err)
		}
		if raw[0] == '{' {
			inner := json.NewDecoder(bytes.NewReader(raw))
			if _, err := inner.Token(); err != nil {
				return nil, fmt.Errorf("value of %s: %w", key, err)
			}
			if pairs, err = members(inner, key+".", pairs); err != nil {
				return nil, err
			}
			continue
		}
		value := string(raw)
		if raw[0] == '"' {
			if err := json.Unmarshal(raw, &value); err != nil {
				return nil, fmt.Errorf("value of %s: %w", key, err)
			}
		}
		pairs = append(pairs, pair{Clean(key), value})
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, fmt.Errorf("end of the object: %w", err)
	}
	return pairs, nil
}

// clock returns the local time of day without the date.
func clock(s string) string {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Clean(s)
	}
	return t.Local().Format("15:04:05.000")
}

// quote quotes a value that would not read as one word.
func quote(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r == '"' || r == '=' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// Clean escapes terminal control characters: a log line can contain input from
// an attacker.
func Clean(s string) string {
	s = strings.ToValidUTF8(s, string(unicode.ReplacementChar))
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == '\t' {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
