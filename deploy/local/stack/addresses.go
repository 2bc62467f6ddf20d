package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// Addresses are where a service listens. The stack chooses them, so that it does
// not have to parse a service's log, which depends on LOG_LEVEL.
type Addresses struct {
	Public   string // host:port of the API and the health probes
	Internal string // host:port of /int and /log-level
	Metrics  string // host:port of /metrics
}

// each calls do with every address.
func (a *Addresses) each(do func(*string) error) error {
	for _, address := range []*string{&a.Public, &a.Internal, &a.Metrics} {
		if err := do(address); err != nil {
			return err
		}
	}
	return nil
}

// freeAddresses returns unused addresses. It holds all ports before it releases
// the first, so that they differ.
func freeAddresses(ctx context.Context) (Addresses, error) {
	var a Addresses
	var taken []net.Listener
	err := a.each(func(address *string) error {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("find a free port: %w", err)
		}
		taken = append(taken, l)
		*address = l.Addr().String()
		return nil
	})
	for _, l := range taken {
		err = errors.Join(err, l.Close())
	}
	return a, err
}

// taken reports whether another program uses one of the ports.
func (a *Addresses) taken(ctx context.Context) bool {
	return a.each(func(address *string) error {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", *address)
		if err != nil {
			return err
		}
		return l.Close()
	}) != nil
}

// settings returns the variables that give a service its addresses.
func (a *Addresses) settings() []string {
	return []string{"HTTP_ADDR=" + a.Public, "INTERNAL_ADDR=" + a.Internal, "METRICS_ADDR=" + a.Metrics}
}
