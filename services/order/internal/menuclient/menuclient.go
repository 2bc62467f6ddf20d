// Package menuclient asks the menu service for prices, over REST with the
// client that is generated from menu's document.
//
// Each quote is one call within a time-out, behind a circuit breaker: when menu
// fails several times in a row, further calls fail at once for a while instead
// of piling up. Cancelled callers and answers that blame the input (4xx) do not
// count as failures.
package menuclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/propagation"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/services/order/internal/menuclient/menuapi"
	"example.com/pizza/services/order/internal/order"
)

// Config is where the menu service is, and how long an answer may take.
type Config struct {
	BaseURL string        `env:"MENU_BASE_URL,required,notEmpty" doc:"Internal address of the menu service, such as http://menu-svc:9000"`
	Timeout time.Duration `env:"MENU_TIMEOUT" envDefault:"2s" doc:"Longest wait for one quote"`
}

// Validate reports an address that cannot be called, and a time-out that is none.
func (c Config) Validate() error {
	var bad []error
	if u, err := url.Parse(c.BaseURL); c.BaseURL != "" && (err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		bad = append(bad, errors.New("MENU_BASE_URL must be an http or https address"))
	}
	if c.Timeout <= 0 {
		bad = append(bad, errors.New("MENU_TIMEOUT must be longer than 0s"))
	}
	return errors.Join(bad...)
}

const (
	tripAfter    = 5                // failures in a row that open the breaker
	openFor      = 10 * time.Second // before one call may try again
	retryAfter   = 2 * time.Second  // what a member is told
	maxIdleConns = 32               // kept open to menu, so that a quote costs no handshake
)

// Client is an order.Pricer.
type Client struct {
	menu    *menuapi.Client
	http    *http.Client
	breaker *gobreaker.CircuitBreaker[[]order.Price]
}

// New returns a client. It does not call menu yet.
func New(c Config, log *slog.Logger) (*Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: maxIdleConns, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: c.Timeout}
	client := &http.Client{Transport: transport, Timeout: c.Timeout}
	menu, err := menuapi.NewClient(c.BaseURL, menuapi.WithHTTPClient(client), menuapi.WithRequestEditorFn(propagate))
	if err != nil {
		return nil, fmt.Errorf("menu client: %w", err)
	}
	breaker := gobreaker.NewCircuitBreaker[[]order.Price](gobreaker.Settings{
		Name:        "menu",
		Timeout:     openFor,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		IsSuccessful: func(err error) bool {
			code := fault.CodeOf(err)
			return code != fault.Unavailable && code != fault.Internal
		},
		IsExcluded: func(err error) bool { return errors.Is(err, context.Canceled) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			log.Warn("circuit breaker changed", "breaker", name, "from", from.String(), "to", to.String())
		},
	})
	return &Client{menu: menu, http: client, breaker: breaker}, nil
}

// propagate passes the trace of the order on to menu (W3C Trace Context).
func propagate(ctx context.Context, r *http.Request) error {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	return nil
}

// Close gives the connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Quote prices all lines with one call. It returns Unavailable when menu does
// not answer in time, answers nonsense, or the breaker is open.
func (c *Client) Quote(ctx context.Context, lines []order.NewLine) ([]order.Price, error) {
	prices, err := c.breaker.Execute(func() ([]order.Price, error) { return c.quote(ctx, lines) })
	if errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, away(err)
	}
	return prices, err
}

func (c *Client) quote(ctx context.Context, lines []order.NewLine) ([]order.Price, error) {
	resp, err := c.menu.Quote(ctx, request(lines))
	if err != nil {
		return nil, away(err)
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is lost when a body that was read cannot be closed
	if resp.StatusCode != http.StatusOK {
		// Our own request was refused, or menu failed: the member can help
		// neither, and must not see menu's words for it.
		return nil, away(problem.Read(resp))
	}
	answer, err := menuapi.ParseQuoteResponse(resp)
	switch {
	case err != nil:
		return nil, away(fmt.Errorf("read menu's answer: %w", err))
	case answer.JSON200 == nil || len(answer.JSON200.Lines) != len(lines):
		return nil, away(errors.New("menu's answer does not have one line per line"))
	}
	return prices(answer.JSON200.Lines)
}

// away is what a member sees whenever menu gave no prices.
func away(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "the menu does not answer; try again").Retry(retryAfter)
}
