package takeover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// front stands for the Ingress: it sends a share of each path to the services.
type front struct {
	*httptest.Server
	weights  map[string]*atomic.Int64 // in percent, by the first part of the path
	turn     atomic.Int64
	services atomic.Pointer[httputil.ReverseProxy]
	old, new atomic.Int64 // requests
}

func newFront(t *testing.T, oldURL string) *front {
	t.Helper()
	f := &front{weights: map[string]*atomic.Int64{"login": {}, "menu": {}, "order": {}}}
	monolith := proxyTo(t, oldURL)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.Split(r.URL.Path, "/")[2]
		if f.turn.Add(37)%100 < f.weights[path].Load() { // visits every number below 100
			f.new.Add(1)
			f.services.Load().ServeHTTP(w, r)
			return
		}
		f.old.Add(1)
		monolith.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) to(t *testing.T, services string) { t.Helper(); f.services.Store(proxyTo(t, services)) }

func proxyTo(t *testing.T, address string) *httputil.ReverseProxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(u)
}

type credentials struct {
	ID       string `json:"id"`
	Password string `json:"pw"`
	Name     string `json:"name"`
}

// line is one of an order, as the old client sends it.
type line struct {
	Name     string `json:"name"`
	Size     string `json:"size"`
	Quantity int    `json:"quantity"`
}

// customers register, browse, order, and look at their orders.
type customers struct {
	front  *front
	client http.Client
	visits atomic.Int64 // begun
	placed atomic.Int64
	mu     sync.Mutex
	orders map[string][]string // acknowledged, by member
}

// run starts the customers. stop waits for the end of their visits.
func (c *customers) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range crowd {
		group.Go(func() {
			for ctx.Err() == nil && !t.Failed() {
				c.visit(context.WithoutCancel(ctx), t, fmt.Sprintf("customer-%d", c.visits.Add(1))) // to its end
			}
		})
	}
	stop = func() { cancel(); group.Wait() }
	t.Cleanup(stop)
	return stop
}

// await waits until some more orders are placed.
func (c *customers) await(t *testing.T, orders int64) {
	t.Helper()
	for until := c.placed.Load() + orders; c.placed.Load() < until; {
		if t.Failed() {
			t.FailNow()
		}
		time.Sleep(10 * time.Millisecond) // leaves the processor to the systems
	}
}

// visit is that of a new member, who orders thrice.
func (c *customers) visit(ctx context.Context, t *testing.T, member string) {
	account := credentials{ID: member, Password: passwordOf(member), Name: "Customer"}
	var token struct{ Token string }
	if !c.call(ctx, t, "POST", "/api/login/register/", "", account, http.StatusCreated, nil) ||
		!c.call(ctx, t, "POST", "/api/login/", "", account, http.StatusOK, &token) {
		return
	}
	ask := map[string]string{"name": "The Hawaiian Pizza", "size": "M"}
	for range 3 {
		var placed struct {
			ID string `json:"order_id"`
		}
		order := map[string]any{"branchId": "BRANCH001", "lines": []line{
			{"The Hawaiian Pizza", "M", 1}, {"The Barbecue Chicken Pizza", "L", 2},
		}}
		if !c.call(ctx, t, "GET", "/api/menu/", "", nil, http.StatusOK, nil) ||
			!c.call(ctx, t, "POST", "/api/menu/get_pizza_id/", "", ask, http.StatusOK, nil) ||
			!c.call(ctx, t, "POST", "/api/order/", token.Token, order, http.StatusCreated, &placed) {
			return
		}
		c.mu.Lock()
		c.orders[member] = append(c.orders[member], placed.ID)
		want := slices.Clone(c.orders[member])
		c.mu.Unlock()
		c.placed.Add(1)
		var rows []struct {
			ID string `json:"order_id"`
		}
		if !c.call(ctx, t, "GET", "/api/order/myorder/", token.Token, nil, http.StatusOK, &rows) {
			return
		}
		got := map[string]int{}
		for _, r := range rows {
			got[r.ID]++
		}
		for _, id := range want {
			if got[id] != 2 {
				t.Errorf("%s: my orders have %d lines of order %s, want 2", member, got[id], id)
			}
		}
	}
}

func passwordOf(member string) string { return "correct horse battery staple " + member }

// call sends a request through the front, and reports whether the answer was as wanted.
func (c *customers) call(ctx context.Context, t *testing.T, method, path, token string, body any, status int, into any) bool {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
			return false
		}
		payload = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.front.URL+path, payload)
	if err != nil {
		t.Error(err)
		return false
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := c.client.Do(r)
	if err != nil {
		t.Error(err)
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		t.Errorf("%s %s: %d %s, %v; want %d", method, path, answer.StatusCode, text, err, status)
		return false
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
			return false
		}
	}
	return true
}
