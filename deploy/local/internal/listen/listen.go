// Package listen opens the port of the local stack, or names the program that
// holds it.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// attempts limits the search for a port that is free on both loopback addresses.
const attempts = 10

// TakenError reports that a port is in use.
type TakenError struct {
	Host  string // the address on which it is in use
	Port  int
	Owner string // the program and its process id, or "" if unknown
}

func (e *TakenError) Error() string {
	where := ""
	if e.Host == "::1" { // the other loopback address is free
		where = " on ::1"
	}
	owner := e.Owner
	if owner == "" {
		owner = "another program"
	}
	return fmt.Sprintf("port %d is taken%s by %s", e.Port, where, owner)
}

// Open listens on a port of host. An empty host means both loopback addresses,
// because "localhost" can be either; one that the machine lacks is left out.
// Port 0 chooses a free port. The error is a *TakenError if another program has
// the port.
func Open(ctx context.Context, host string, port int) ([]net.Listener, error) {
	if host != "" {
		l, err := open(ctx, host, port)
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	for i := 1; ; i++ {
		listeners, err := loopback(ctx, port)
		var taken *TakenError
		if port == 0 && i < attempts && errors.As(err, &taken) {
			continue // free on one address, in use on the other
		}
		return listeners, err
	}
}

func loopback(ctx context.Context, port int) ([]net.Listener, error) {
	v4, err := open(ctx, "127.0.0.1", port)
	if err != nil {
		return nil, err
	}
	v6, err := open(ctx, "::1", Port(v4))
	var taken *TakenError
	switch {
	case errors.As(err, &taken):
		return nil, errors.Join(err, v4.Close())
	case err != nil:
		return []net.Listener{v4}, nil //nolint:nilerr // the machine has no IPv6
	}
	return []net.Listener{v4, v6}, nil
}

func open(ctx context.Context, host string, port int) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &TakenError{Host: host, Port: port, Owner: owner(host, port)}
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// Port returns the port of a TCP listener.
func Port(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}
