package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// customers use the system through the Ingress during a scenario.
type customers struct {
	base   string // URL of the Ingress
	host   string // Host header for the Ingress
	prefix string // of member ids
	rate   float64

	kept, fresh *http.Client // with and without connection reuse
	tokens      []string     // one per member
	pizzas      []string
	branch      string

	mu    sync.Mutex
	books *books
}

// books record the responses to the customers in one scenario.
type books struct {
	requests     int
	failures     map[string]int  // by cause
	acknowledged map[string]bool // ids of orders
	orders       int             // orders started
}

const (
	members     = 8
	giveUpAfter = 3 * time.Minute // time limit for the acknowledgment of one order
)

func newCustomers(base, host string, rate float64) *customers {
	dial := (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	kept := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 100, IdleConnTimeout: 30 * time.Second}
	fresh := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	const patience = 15 * time.Second
	return &customers{
		base: strings.TrimSuffix(base, "/"), host: host, prefix: "e2e-" + uuid.NewString()[:8] + "-", rate: rate,
		kept: &http.Client{Transport: kept, Timeout: patience}, fresh: &http.Client{Transport: fresh, Timeout: patience},
	}
}

// landmarks returns a path of each service, with the status of a GET.
func landmarks() map[string]int {
	return map[string]int{
		"/api/login/": http.StatusMethodNotAllowed, "/api/menu/": http.StatusOK, "/api/order/branch/": http.StatusOK,
	}
}

// served reports whether the Ingress routes to every service. A controller needs
// a moment to pick up a new Ingress.
func (c *customers) served(ctx context.Context) (bool, error) {
	for path, status := range landmarks() {
		if _, err := c.must(ctx, http.MethodGet, path, "", status); err != nil {
			return false, err
		}
	}
	return true, nil
}

// arrive registers the members and reads the menu.
func (c *customers) arrive(ctx context.Context) error {
	for i := range members {
		id := fmt.Sprintf("%s%d", c.prefix, i)
		form := url.Values{"id": {id}, "pw": {"password of " + id}, "name": {id}}.Encode()
		if _, err := c.must(ctx, http.MethodPost, "/api/login/register/", form, http.StatusCreated); err != nil {
			return err
		}
		token, err := c.login(ctx, i)
		if err != nil {
			return err
		}
		c.tokens = append(c.tokens, token)
	}
	var menu []struct {
		ID string `json:"pizza_id"`
	}
	var branches []struct {
		ID string `json:"bran_id"`
	}
	for path, into := range map[string]any{"/api/menu/": &menu, "/api/order/branch/": &branches} {
		text, err := c.must(ctx, http.MethodGet, path, "", http.StatusOK)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
	}
	if len(menu) == 0 || len(branches) == 0 {
		return errors.New("the menu or the list of branches is empty")
	}
	for _, p := range menu {
		c.pizzas = append(c.pizzas, p.ID)
	}
	c.branch = branches[0].ID
	return nil
}

func (c *customers) login(ctx context.Context, i int) (string, error) {
	id := fmt.Sprintf("%s%d", c.prefix, i)
	form := url.Values{"id": {id}, "pw": {"password of " + id}}.Encode()
	text, err := c.must(ctx, http.MethodPost, "/api/login/", form, http.StatusOK)
	if err != nil {
		return "", err
	}
	var session struct{ Token string }
	return session.Token, json.Unmarshal(text, &session)
}

func (c *customers) must(ctx context.Context, method, path, form string, status int) ([]byte, error) {
	a, err := c.send(ctx, method, path, "application/x-www-form-urlencoded", form, "", "")
	if err == nil && a.status != status {
		err = fmt.Errorf("%s %s: answer %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a.body, err
}

// shop starts customers until ctx ends, and waits for the last one. Every started
// order is then acknowledged or abandoned.
func (c *customers) shop(ctx context.Context) *books {
	c.mu.Lock()
	c.books = &books{failures: map[string]int{}, acknowledged: map[string]bool{}}
	c.mu.Unlock()
	var shopping sync.WaitGroup
	next := time.NewTicker(time.Duration(float64(time.Second) / c.rate))
	defer next.Stop()
	for i := 0; ; i++ {
		select {
		case <-next.C:
			shopping.Go(func() { c.visit(context.WithoutCancel(ctx), i) })
			continue
		case <-ctx.Done():
		}
		shopping.Wait()
		return c.books
	}
}

// visit acts as one customer: most read the menu or order, few log in.
func (c *customers) visit(ctx context.Context, i int) {
	member := rand.IntN(members)
	switch {
	case i%10 < 4:
		c.try(ctx, http.MethodGet, "/api/menu/", "", "", http.StatusOK)
	case i%10 < 5:
		c.try(ctx, http.MethodGet, "/order/branch", "", "", http.StatusOK)
	case i%10 < 6:
		c.try(ctx, http.MethodGet, "/api/order/myorder/?limit=5", c.tokens[member], "", http.StatusOK)
	case i%50 == 49:
		id := fmt.Sprintf("%s%d", c.prefix, member)
		form := url.Values{"id": {id}, "pw": {"password of " + id}}.Encode()
		a, err := c.send(ctx, http.MethodPost, "/api/login/", "application/x-www-form-urlencoded", form, "", "")
		c.note("POST /api/login/", a, err, http.StatusOK)
	default:
		c.order(ctx, c.tokens[member])
	}
}

// order places one order, and retries it with the same key until it succeeds.
func (c *customers) order(ctx context.Context, token string) {
	line := fmt.Sprintf(`{"pizza_id":%q,"quantity":%d}`, c.pizzas[rand.IntN(len(c.pizzas))], 1+rand.IntN(3))
	body := fmt.Sprintf(`{"branchId":%q,"lines":[%s]}`, c.branch, line)
	key := uuid.NewString()
	c.mu.Lock()
	c.books.orders++
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, giveUpAfter)
	defer cancel()
	for {
		a := c.try(ctx, http.MethodPost, "/api/order/", token, key, http.StatusCreated, body)
		if a.status == http.StatusCreated {
			var placed struct {
				ID string `json:"order_id"`
			}
			if err := json.Unmarshal(a.body, &placed); err == nil && placed.ID != "" {
				c.mu.Lock()
				c.books.acknowledged[placed.ID] = true
				c.mu.Unlock()
				return
			}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

// tryOrder places one extra order, not counted as a request, and returns the
// status.
func (c *customers) tryOrder(ctx context.Context) int {
	body := fmt.Sprintf(`{"branchId":%q,"lines":[{"pizza_id":%q,"quantity":1}]}`, c.branch, c.pizzas[0])
	a, err := c.send(ctx, http.MethodPost, "/api/order/", "application/json", body, c.tokens[0], "")
	if err != nil || a.status != http.StatusCreated {
		return a.status
	}
	var placed struct {
		ID string `json:"order_id"`
	}
	if json.Unmarshal(a.body, &placed) == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.books.orders++
		c.books.acknowledged[placed.ID] = true
	}
	return a.status
}

func (c *customers) try(ctx context.Context, method, path, token, key string, status int, body ...string) answer {
	a, err := c.send(ctx, method, path, "application/json", strings.Join(body, ""), token, key)
	route, _, _ := strings.Cut(path, "?")
	c.note(method+" "+route, a, err, status)
	return a
}

// note records one request in the books.
func (c *customers) note(what string, a answer, err error, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.books.requests++
	switch {
	case err != nil:
		c.books.failures[what+": "+cause(err)]++
	case a.status != status:
		c.books.failures[fmt.Sprintf("%s: %d %s", what, a.status, detail(a.body))]++
	}
}

// cause returns the part of an error that is the same for similar requests.
func cause(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}

func detail(body []byte) string {
	var p struct{ Detail string }
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return p.Detail
	}
	return strings.TrimSpace(string(body[:min(len(body), 80)]))
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *customers) send(ctx context.Context, method, path, contentType, body, token, key string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return answer{}, err
	}
	r.Host = c.host
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	client := c.kept
	if rand.IntN(2) == 0 {
		client = c.fresh
	}
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, text}, err
}
