package console

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 1, 2, 3, 45e6, time.Local)
	stamp := at.Format(time.RFC3339Nano)
	for name, tc := range map[string]struct {
		line  string
		color bool
		want  string
	}{
		"request": {
			line: `{"time":"` + stamp + `","level":"INFO","msg":"request","service":"order","version":"1.2.0","env":"dev","method":"POST","route":"/order/",` +
				`"status":201,"duration_ms":3.25,"trace_id":"4bf92f","span_id":"00f0"}`,
			want: "01:02:03.045 order   INFO  request method=POST route=/order/ status=201 duration_ms=3.25 trace_id=4bf92f\n",
		},
		"groups, lists and odd values": {
			line: `{"level":"WARN","msg":"a b","db":{"host":"h","pool":{"max":10}},"list":[1,"x"],"none":null,"empty":"","text":"a b=\"c\""}`,
			want: `             order   WARN  a b db.host=h db.pool.max=10 list="[1,\"x\"]" none=null empty="" text="a b=\"c\""` + "\n",
		},
		"large numbers stay as they are": {
			line: `{"level":"INFO","msg":"m","n":12345678901234567890}`,
			want: "             order   INFO  m n=12345678901234567890\n",
		},
		"Korean": {
			line: `{"level":"INFO","msg":"주문","name":"김치"}`,
			want: "             order   INFO  주문 name=김치\n",
		},
		"errors stand out": {
			line:  `{"level":"ERROR","msg":"request failed","error":"no route"}`,
			color: true,
			want: "\x1b[2m            \x1b[0m \x1b[36morder  \x1b[0m \x1b[1m\x1b[31mERROR\x1b[0m \x1b[1m\x1b[31mrequest failed\x1b[0m" +
				" \x1b[31merror=\"no route\"\x1b[0m\n",
		},
		"nothing moves the cursor": {
			line: `{"level":"INFO","msg":"\u001b[2Jgone","path":"a\u001b]0;title\u0007\nb"}`,
			want: `             order   INFO  \x1b[2Jgone path="a\x1b]0;title\a\nb"` + "\n",
		},
		"not even in the time or the level": {
			line: `{"time":"\u001b[2J","level":"\u001b[31mINFO","msg":"m","\u001bk":"v"}`,
			want: `     \x1b[2J order   \x1b[31mINFO m \x1bk=v` + "\n",
		},
		"panic": {
			line: "goroutine 1 [running]:",
			want: "             order     |   goroutine 1 [running]:\n",
		},
		"text with an escape": {line: "\x1b[31mred", want: `             order     |   \x1b[31mred` + "\n"},
		"half an object":      {line: `{"level":"INFO"`, want: `             order     |   {"level":"INFO"` + "\n"},
		"an object and more":  {line: `{"a":1} x`, want: `             order     |   {"a":1} x` + "\n"},
		"no object":           {line: `[1]`, want: "             order     |   [1]\n"},
		"invalid UTF-8":       {line: "a\xffb", want: "             order     |   a\uFFFDb\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, string(render("order", []byte(tc.line), tc.color))); diff != "" {
				t.Errorf("render() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConsole(t *testing.T) {
	t.Parallel()
	t.Run("lines wait for the table", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		c := New(&out, Options{})
		c.Line("menu", []byte(`{"level":"INFO","msg":"listening"}`))
		if _, err := io.WriteString(c, "the table\n"); err != nil {
			t.Error(err)
		}
		c.Release()
		c.Release()
		c.Line("menu", []byte(`{"level":"INFO","msg":"request"}`))
		want := "the table\n" + strings.Repeat(" ", 13) + "menu    INFO  listening\n" + strings.Repeat(" ", 13) + "menu    INFO  request\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("output (-want +got):\n%s", diff)
		}
	})
	t.Run("JSON passes through", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		c := New(&out, Options{JSON: true})
		c.Release()
		c.Line("menu", []byte(`{"b":1,"a":"x"}`))
		if got, want := out.String(), `{"b":1,"a":"x"}`+"\n"; got != want {
			t.Errorf("output %q, want %q", got, want)
		}
	})
	t.Run("a closed terminal is noticed", func(t *testing.T) {
		t.Parallel()
		c := New(closed{}, Options{})
		for range 2 {
			if _, err := io.WriteString(c, "x"); err == nil {
				t.Error("Write() = nil")
			}
		}
		select {
		case <-c.Broken():
		default:
			t.Error("Broken() is open")
		}
	})
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func FuzzRender(f *testing.F) {
	f.Add([]byte(`{"level":"ERROR","msg":"x","a":{"b":[1,{"c":null}]}}`))
	f.Add([]byte("\x1b[0m{\x00"))
	f.Add([]byte(`{"time":"\u001b[2J","level":"\u001b[2J","msg":"\u009b2J","service":"\u001b","\u001b":"\u001b","error":"\u202e"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		got := render("order", line, false)
		if bytes.Count(got, []byte("\n")) != 1 || bytes.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }) {
			t.Errorf("render(%q) = %q: not one harmless line", line, got)
		}
	})
}
