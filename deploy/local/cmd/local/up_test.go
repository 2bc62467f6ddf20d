package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"example.com/pizza/deploy/local/internal/datadir"
	"example.com/pizza/deploy/local/internal/listen"
	"example.com/pizza/deploy/local/stack"
)

// TestExplain checks that every failure that a user can fix says how.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"port": {&listen.TakenError{Port: 8000, Owner: "nginx (process 7)"}, []string{"port 8000 is taken by nginx (process 7)", "make run PORT=8080"}},
		"port of nobody we see": {
			errors.Join(&listen.TakenError{Port: 8000}), []string{"port 8000 is taken by another program", "make run PORT=8080"},
		},
		"data folder": {fmt.Errorf("data folder /x: %w by process 9", datadir.ErrInUse), []string{"runs already", "process 9", "make run PORT=8080 DATA="}},
		"service": {
			&stack.DiedError{Service: "menu", Err: errors.New("exit status 1"), Tail: []string{`{"level":"ERROR","msg":"no route"}`, "panic: x"}},
			[]string{"the menu service exited unexpectedly (exit status 1)", "menu    ERROR no route", "menu      |   panic: x"},
		},
		"service that ended well": {&stack.DiedError{Service: "menu"}, []string{"the menu service exited unexpectedly (exit status 0)"}},
		"anything else":           {io.ErrUnexpectedEOF, []string{"unexpected EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := explain(tc.err)
			if !errors.Is(got, tc.err) {
				t.Errorf("explain() lost its cause: %v", got)
			}
			for _, want := range tc.want {
				if !strings.Contains(got.Error(), want) {
					t.Errorf("explain() = %q, want %q in it", got, want)
				}
			}
		})
	}
}

// TestSignals checks that the first Ctrl-C interrupts and the second forces.
func TestSignals(t *testing.T) {
	interrupted, forced, stop := signals(t.Context())
	defer stop()
	for i, ctx := range []context.Context{interrupted, forced} {
		if ctx.Err() != nil {
			t.Fatalf("ended before signal %d", i+1)
		}
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done()
	}
}

// TestWatch checks that a repeated SIGTERM or SIGHUP does not force, but Ctrl-C
// does.
func TestWatch(t *testing.T) {
	t.Parallel()
	c, done := make(chan os.Signal), make(chan struct{}) // unbuffered: each signal is handled before the next is sent
	interrupted, interrupt := context.WithCancel(t.Context())
	forced, force := context.WithCancel(t.Context())
	defer force()
	watched := make(chan bool, 1)
	go func() { watched <- watch(c, done, interrupt, force) }()
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGHUP} {
		c <- s
	}
	if interrupted.Err() == nil || forced.Err() != nil {
		t.Fatalf("after SIGTERM twice: interrupted %v, forced %v", interrupted.Err(), forced.Err())
	}
	c <- os.Interrupt
	<-forced.Done()
	if !<-watched {
		t.Error("watch() = false after Ctrl-C")
	}
	close(done)
	if watch(c, done, interrupt, force) {
		t.Error("watch() = true without a signal")
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		out  string
		err  string
	}{
		"no command":       {nil, nil, "usage: local run", ""},
		"help":             {[]string{"help"}, nil, "usage: local run", ""},
		"help of run":      {[]string{"run", "-h"}, nil, "usage: local run", ""},
		"unknown command":  {[]string{"walk"}, nil, "", `unknown command "walk"`},
		"unknown flag":     {[]string{"run", "--fast"}, nil, "", "not defined: -fast"},
		"unknown argument": {[]string{"run", "now"}, nil, "", `unexpected argument "now"`},
		"unknown to clean": {[]string{"clean", ".local/second"}, nil, "", `unexpected argument ".local/second"`},
		"host and port":    {[]string{"run", "--host", "localhost:8000"}, nil, "", `host "localhost:8000" is neither an address`},
		"host, bracketed":  {[]string{"run", "--host", "[127.0.0.1]"}, nil, "", `host "[127.0.0.1]" is neither an address`},
		"no port":          {[]string{"run", "--port", "x"}, nil, "", `port "x" is not a number from 0 to 65535`},
		"no transport":     {[]string{"run", "--events", "kafka"}, nil, "", `events "kafka" is neither postgres nor nats`},
		"no pause":         {[]string{"run", "--restart-after", "0s"}, nil, "", `restart-after "0s" is not a positive duration`},
		"no port, by PORT": {[]string{"run"}, map[string]string{"PORT": "70000"}, "", `port "70000" is not a number from 0 to 65535`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := run(t.Context(), tc.args, func(name string) string { return tc.env[name] }, &out)
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("run() = %v, want %q", err, tc.err)
			}
			if !strings.Contains(out.String(), tc.out) {
				t.Errorf("output %q, want %q in it", out.String(), tc.out)
			}
			if usage := strings.HasPrefix(tc.err, "unexpected") || strings.HasPrefix(tc.err, "unknown") || strings.HasPrefix(tc.err, "not defined"); usage != errors.As(err, new(usageError)) {
				t.Errorf("exit status 2 is not just for the wrong usage: %v", err)
			}
		})
	}
}

// TestHost checks that hostOf also accepts the URL form of an address.
func TestHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"": "", "localhost": "localhost", "0.0.0.0": "0.0.0.0", "::1": "::1", "[::1]": "::1", "[::]": "::", "fe80::1%lo": "fe80::1%lo", "my-laptop.lan": "my-laptop.lan",
		"[]": "-", "[::1]:8000": "-", "127.0.0.1:8000": "-", "[::1": "-", "::1]": "-", "http://localhost": "-", "[localhost]": "-", "10.0.0.0/8": "-",
	} {
		got, err := hostOf(host)
		if err != nil {
			got = "-"
		}
		if got != want {
			t.Errorf("hostOf(%q) = %q, %v, want %q", host, got, err, want)
		}
	}
}
