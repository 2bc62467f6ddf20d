// Package menuclient reads the catalog of the menu service over REST, with the
// client that is generated from menu's OpenAPI document.
//
// Each call has a time-out around a circuit breaker around up to three attempts:
// the breaker judges what a caller gets, not every failed attempt. Clients that go
// away and 4xx answers say nothing about menu's health and do not count.
//
// Every error is fault.Unavailable with a Retry-After: menu is away, and the caller
// can use the catalog that it has.
package menuclient

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/services/order/internal/menuclient/menuapi"
)

const (
	retryAfter  = 2 * time.Second // for members, if menu names none
	maxAnswer   = 32 << 20        // bytes; a catalog of a hundred thousand pizzas is under 20 MiB
	idleTimeout = time.Minute     // shorter than the server's, so that the client closes first
)

// Client reads the catalog of menu.
type Client struct {
	menu      *menuapi.Client
	transport *http.Transport
	caller    *caller
}

// New returns a client with its metrics in registry. It does not call menu yet.
func New(c Config, log *slog.Logger, registry prometheus.Registerer) (*Client, error) {
	return newClient(c, newPolicy(c.Timeout), log, registry)
}

func newClient(c Config, p policy, log *slog.Logger, registry prometheus.Registerer) (*Client, error) {
	transport := &http.Transport{ // no proxy: menu is in the same network
		DialContext:         (&net.Dialer{Timeout: p.attemptTimeout}).DialContext,
		TLSHandshakeTimeout: p.attemptTimeout,
		IdleConnTimeout:     idleTimeout,
	}
	client := &http.Client{Transport: telemetry.Transport(transport)}
	menu, err := menuapi.NewClient(c.BaseURL, menuapi.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("menu client: %w", err)
	}
	calls := newCaller(c, p, log, newMetrics(registry), transport.CloseIdleConnections)
	exportState(registry, calls.breaker)
	return &Client{menu: menu, transport: transport, caller: calls}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// readAll reads a body to its end, so that its connection is reused, or to one byte
// beyond the limit.
func readAll(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close() //nolint:errcheck // the body was read
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
}

// away returns the fault that a member sees if menu did not answer. It hides
// menu's own texts, and whether menu or the request was at fault.
func away(err error) error {
	after := retryAfter
	var f *failure
	if errors.As(err, &f) {
		after = max(after, f.retryAfter)
	}
	return fault.Wrap(err, fault.Unavailable, "the menu is unavailable; try again").Retry(after)
}
