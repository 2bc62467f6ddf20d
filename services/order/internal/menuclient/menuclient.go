// Package menuclient asks the menu service, over REST with the client that is
// generated from menu's document.
//
// Every call goes through one guard, from outside to inside:
//
//	budget     MENU_TIMEOUT, or what the request has left
//	bulkhead   at most MENU_CONCURRENCY calls at the same time
//	breaker    fails at once while most calls of late have failed
//	attempts   each within MENU_ATTEMPT_TIMEOUT, with jittered pauses
//
// The attempts are inside the breaker: it judges what a caller got, not every
// stumble on the way. Callers that go away, answers that blame the request
// (4xx), and calls that found no place say nothing about menu, and do not count.
//
// Whatever goes wrong, the error is a fault.Unavailable with a Retry-After:
// menu is away, and the caller may do without it if it can.
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
	retryAfter  = 2 * time.Second // what a member is told, where nothing better is known
	maxAnswer   = 4 << 20         // bytes; a catalog of ten thousand pizzas is under 2 MiB
	idleTimeout = time.Minute     // shorter than the server's, so that we close a connection and not it
)

// Client reads the catalog of menu.
type Client struct {
	menu      *menuapi.Client
	transport *http.Transport
	guard     *guard
}

// New returns a client, with its metrics in registry. It does not call menu yet.
func New(c Config, log *slog.Logger, registry prometheus.Registerer) (*Client, error) {
	transport := &http.Transport{ // no proxy: menu is a neighbour
		DialContext:         (&net.Dialer{Timeout: c.AttemptTimeout}).DialContext,
		TLSHandshakeTimeout: c.AttemptTimeout,
		MaxIdleConns:        c.Concurrency,
		MaxIdleConnsPerHost: c.Concurrency, // so that a place never costs a handshake
		IdleConnTimeout:     idleTimeout,
	}
	client := &http.Client{Transport: telemetry.Transport(transport)}
	menu, err := menuapi.NewClient(c.BaseURL, menuapi.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("menu client: %w", err)
	}
	g := newGuard(c, log, newMetrics(registry), transport.CloseIdleConnections)
	watch(registry, g.breaker)
	return &Client{menu: menu, transport: transport, guard: g}, nil
}

// Close gives the connections back.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// readAll reads a body to its end, so that its connection can be used again,
// or to one byte more than it may have.
func readAll(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close() //nolint:errcheck // nothing is lost when a body that was read cannot be closed
	return io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
}

// away is what a member sees whenever menu gave no answer: neither menu's own
// words, nor whether it was menu or our request that was wrong.
func away(err error) error {
	after := retryAfter
	var f *failure
	if errors.As(err, &f) {
		after = max(after, f.retryAfter)
	}
	return fault.Wrap(err, fault.Unavailable, "the menu does not answer; try again").Retry(after)
}
