// Package smoke places a real order with a running system, as a customer would: it registers
// a member, logs in, reads the menu, orders, finds the order again and logs out.
//
// helm test runs it inside the cluster (order smoke). It is part of the order binary because
// the cluster has pulled that image already: an image of its own would have to be built,
// signed and admitted for one test.
package smoke

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
)

const timeout = 10 * time.Second // of each call

// Addresses are those of the services' public ports.
type Addresses struct {
	Login string `env:"LOGIN_URL,required,notEmpty" rule:"url=http|https" doc:"Address of login, such as http://login-svc"`
	Menu  string `env:"MENU_URL,required,notEmpty" rule:"url=http|https" doc:"Address of menu"`
	Order string `env:"ORDER_URL,required,notEmpty" rule:"url=http|https" doc:"Address of order"`
}

// Run places an order and prints each step, and what it waits for. It returns the error of
// the first failed step, or of a service that accepts no connections for a minute.
func Run(ctx context.Context, a Addresses, out io.Writer) error {
	c := customer{client: &http.Client{Timeout: timeout}, out: out}
	var err error
	began := time.Now()
	for _, address := range []string{a.Login, a.Menu, a.Order} {
		if err := await(ctx, address, began, out); err != nil {
			return err
		}
	}
	do := func(step, method, address string, body, into any) {
		if err == nil {
			err = c.do(ctx, step, method, address, body, into)
		}
	}
	type object = map[string]any
	id, password := "smoke-"+uuid.NewString(), uuid.NewString()
	do("register", http.MethodPost, a.Login+"/login/register/", object{"id": id, "pw": password, "name": "helm test"}, nil)
	var session struct{ Token string }
	do("log in", http.MethodPost, a.Login+"/login/", object{"id": id, "pw": password}, &session)
	c.token = session.Token
	var menu []struct {
		ID    string      `json:"pizza_id"`
		Price json.Number `json:"price"`
	}
	do("read the menu", http.MethodGet, a.Menu+"/menu/", nil, &menu)
	var branches []struct {
		ID string `json:"bran_id"`
	}
	do("read the branches", http.MethodGet, a.Order+"/order/branch/", nil, &branches)
	if err == nil && (len(menu) == 0 || len(branches) == 0) {
		err = errors.New("there is nothing to order: the menu or the list of branches is empty (`migrate seed` adds them)")
	}
	if err != nil {
		return err
	}
	var placed struct {
		ID    string      `json:"order_id"`
		Total json.Number `json:"total_price"`
	}
	order := object{"branchId": branches[0].ID, "lines": []object{{"pizza_id": menu[0].ID, "quantity": 1}}}
	do("place an order", http.MethodPost, a.Order+"/order/", order, &placed)
	if err == nil && placed.Total != menu[0].Price {
		err = fmt.Errorf("the order costs %s, the menu says %s", placed.Total, menu[0].Price)
	}
	do("find it again", http.MethodGet, a.Order+"/order/"+placed.ID+"/", nil, nil)
	do("log out", http.MethodGet, a.Login+"/login/logout/", nil, nil)
	return err
}

// A cluster needs a moment to apply the network policies of a new pod.
const (
	patience = time.Minute // until all services accept connections
	again    = 10 * time.Second
	tries    = 60 // of Reach
	pause    = 500 * time.Millisecond
	alike    = 4 // ends in a row that are no moment any more
)

// Reach reports whether an address accepts connections, for tests of network policies. It
// tries until several attempts in a row have equal results.
func Reach(ctx context.Context, address string) error {
	last := dial(ctx, address)
	for n, same := 1, 1; n < tries && same < alike; n++ {
		wait(ctx)
		err := dial(ctx, address)
		if same++; (err == nil) != (last == nil) {
			same = 1
		}
		last = err
	}
	return last
}

// await returns when the service at a URL accepts connections. It prints the reason to
// wait at once, when it changes, and every ten seconds. After patience, it gives up.
func await(ctx context.Context, address string, began time.Time, out io.Writer) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // dialing knows the port of http
	}
	printed, reason := time.Time{}, ""
	for {
		err := dial(ctx, net.JoinHostPort(u.Hostname(), port))
		if err == nil {
			return nil
		}
		if waited := time.Since(began); waited >= patience || ctx.Err() != nil {
			return fmt.Errorf("%s accepts no connections, after %s: %w", address, waited.Round(time.Second), err)
		}
		if err.Error() != reason || time.Since(printed) >= again {
			printed, reason = time.Now(), err.Error()
			if _, err := fmt.Fprintf(out, "wait for %s: %s\n", address, reason); err != nil {
				return err
			}
		}
		wait(ctx)
	}
}

func dial(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: timeout / 2}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func wait(ctx context.Context) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

// customer calls the services.
type customer struct {
	client *http.Client
	out    io.Writer
	token  string
}

// do calls an operation, decodes the answer into a value unless that is nil, and prints it.
func (c *customer) do(ctx context.Context, step, method, address string, body, into any) error {
	if err := c.call(ctx, method, address, body, into); err != nil {
		return fmt.Errorf("%s: %s %s: %w", step, method, address, err)
	}
	_, err := fmt.Fprintf(c.out, "ok  %s\n", step)
	return err
}

func (c *customer) call(ctx context.Context, method, address string, body, into any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	switch {
	case err != nil:
		return err
	case answer.StatusCode/100 != 2:
		return fmt.Errorf("answer %d: %s", answer.StatusCode, bytes.TrimSpace(text))
	case into == nil:
		return nil
	}
	return json.Unmarshal(text, into)
}
