// Package smoke places a real order with a system that runs, as a customer would:
// it registers a member, logs in, reads the menu, orders, finds the order again and
// logs out. `helm test` runs it inside the cluster (command `order smoke`).
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
	"strings"
	"time"

	"github.com/google/uuid"
)

const timeout = 10 * time.Second // of each call

// Addresses are those of the services' public ports.
type Addresses struct {
	Login string `env:"LOGIN_URL,required,notEmpty" doc:"Address of login, such as http://login-svc"`
	Menu  string `env:"MENU_URL,required,notEmpty" doc:"Address of menu"`
	Order string `env:"ORDER_URL,required,notEmpty" doc:"Address of order"`
}

// Run places an order, and tells each step as it is done. It returns what went
// wrong at the first step that fails.
func Run(ctx context.Context, a Addresses, out io.Writer) error {
	c := customer{ctx: ctx, out: out}
	id, password := "smoke-"+uuid.NewString(), uuid.NewString()
	c.post("register", a.Login+"/login/register/", map[string]any{"id": id, "pw": password, "name": "helm test"}, http.StatusCreated, nil)
	var session struct{ Token string }
	c.post("log in", a.Login+"/login/", map[string]any{"id": id, "pw": password}, http.StatusOK, &session)
	c.token = session.Token
	var menu []struct {
		ID    string      `json:"pizza_id"`
		Price json.Number `json:"price"`
	}
	c.get("read the menu", a.Menu+"/menu/", http.StatusOK, &menu)
	var branches []struct {
		ID string `json:"bran_id"`
	}
	c.get("read the branches", a.Order+"/order/branch/", http.StatusOK, &branches)
	if c.err == nil && (len(menu) == 0 || len(branches) == 0) {
		return errors.New("there is nothing to order: the menu or the list of branches is empty (`migrate seed` adds them)")
	}
	if c.err != nil {
		return c.err
	}
	var placed struct {
		ID    string      `json:"order_id"`
		Total json.Number `json:"total_price"`
	}
	order := map[string]any{"branchId": branches[0].ID, "lines": []any{map[string]any{"pizza_id": menu[0].ID, "quantity": 1}}}
	c.post("place an order", a.Order+"/order/", order, http.StatusCreated, &placed)
	if c.err == nil && placed.Total != menu[0].Price {
		return fmt.Errorf("the order costs %s, the menu says %s", placed.Total, menu[0].Price)
	}
	c.get("find it again", a.Order+"/order/"+placed.ID+"/", http.StatusOK, nil)
	c.get("log out", a.Login+"/login/logout/", http.StatusOK, nil)
	return c.err
}

// Reach tells whether something accepts connections at an address, for tests of
// network policies.
func Reach(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: timeout / 2}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// customer makes one call after the other, until one fails.
type customer struct {
	ctx   context.Context
	out   io.Writer
	token string
	err   error
}

func (c *customer) get(step, address string, status int, into any) {
	c.call(step, http.MethodGet, address, nil, status, into)
}

func (c *customer) post(step, address string, body any, status int, into any) {
	c.call(step, http.MethodPost, address, body, status, into)
}

func (c *customer) call(step, method, address string, body any, status int, into any) {
	if c.err != nil {
		return
	}
	if err := c.do(method, address, body, status, into); err != nil {
		c.err = fmt.Errorf("%s: %s %s: %w", step, method, address, err)
		return
	}
	_, c.err = fmt.Fprintf(c.out, "ok  %s\n", step)
}

func (c *customer) do(method, address string, body any, status int, into any) error {
	ctx, cancel := context.WithTimeout(c.ctx, timeout)
	defer cancel()
	content := []byte{}
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return err
	}
	if answer.StatusCode != status {
		return fmt.Errorf("answer %d, want %d: %s", answer.StatusCode, status, strings.TrimSpace(string(text)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
