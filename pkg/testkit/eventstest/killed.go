package eventstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/pizza/pkg/events"
)

// address is the variable that makes a test binary the consumer of Killed.
const address = "EVENTSTEST_CONSUME_FROM"

// Consumer runs the consumer of Killed, and does not return, if this process is to
// be one. TestMain calls it first.
func Consumer(connect func(address string) events.Transport) {
	from := os.Getenv(address)
	if from == "" {
		return
	}
	err := connect(from).Subscribe(context.Background(), "reader", []string{"thing.changed"}, func(_ context.Context, e events.Event) error {
		fmt.Println(e.ID)
		if e.ID == "a-1" {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return err
			}
			select {} // until the signal arrives
		}
		return nil
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Killed checks that an event that kills its consumer's process is parked after the
// given attempts, and that later events of its subject are delivered. The consumer
// is this test binary, connected to from; see Consumer. died is called after each
// death.
func Killed(t *testing.T, b Backend, from string, attempts int, died func()) {
	to := b.Connect(t)
	publish(t, to, event("a", 0), event("a", 1), event("a", 2))
	want := append(append([]string{"a-0"}, slices.Repeat([]string{"a-1"}, attempts)...), "a-2")
	var got []string
	for len(got) < len(want) {
		got = append(got, live(t, from, func() bool { return b.Parked(t, "reader") == 1 })...)
		died()
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("handled were %v, want %v", got, want)
	}
	if n := b.Parked(t, "reader"); n != 1 {
		t.Errorf("%d events are set aside", n)
	}
}

// live runs a consumer until it dies, or until it has handled the event after the
// fatal one. It returns the IDs of the handled events.
func live(t *testing.T, from string, parked func() bool) (ids []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	consumer := exec.CommandContext(ctx, os.Args[0])
	consumer.Env = append(os.Environ(), address+"="+from)
	consumer.Stderr = t.Output()
	out, err := consumer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		ids = append(ids, lines.Text())
		if lines.Text() == "a-2" {
			eventually(t, "set aside", parked)
			cancel()
		}
	}
	var exit *exec.ExitError
	if err := consumer.Wait(); !errors.As(err, &exit) {
		t.Fatalf("the consumer ended with %v", err)
	}
	return ids
}
