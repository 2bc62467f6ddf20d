package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// seeOutage checks through the Ingress, until the given time, the responses while
// the database is down: the menu, and for all else the service's own 503 with
// Retry-After. It returns an error for the first other response.
func (c *customers) seeOutage(ctx context.Context, until time.Time, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		if err := c.lookDuringOutage(ctx, i%members); err != nil {
			return fmt.Errorf("%s before the database returns: %w", time.Until(until).Round(time.Second), err)
		}
		if time.Now().After(until) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *customers) lookDuringOutage(ctx context.Context, member int) error {
	if _, err := c.must(ctx, http.MethodGet, "/api/menu/", "", http.StatusOK); err != nil {
		return err
	}
	order := fmt.Sprintf(`{"branchId":%q,"lines":[{"pizza_id":%q,"quantity":1}]}`, c.branch, c.pizzas[0])
	a, err := c.send(ctx, http.MethodPost, "/api/order/", "application/json", order, c.tokens[member], "")
	if err == nil {
		err = ownUnavailable(a)
	}
	if err != nil {
		return fmt.Errorf("POST /api/order/: %w", err)
	}
	id := fmt.Sprintf("%s%d", c.prefix, member)
	form := url.Values{"id": {id}, "pw": {"password of " + id}}.Encode()
	a, err = c.send(ctx, http.MethodPost, "/api/login/", "application/x-www-form-urlencoded", form, "", "")
	if err == nil {
		err = ownUnavailable(a)
	}
	if err != nil {
		return fmt.Errorf("POST /api/login/: %w", err)
	}
	return nil
}

// ownUnavailable checks that a response is a service's own 503, and not one from a
// load balancer without ready pods.
func ownUnavailable(a answer) error {
	var p struct {
		Detail  string
		TraceID string `json:"trace_id"`
	}
	err := json.Unmarshal(a.body, &p)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Content-Type") != "application/problem+json" ||
		a.header.Get("Retry-After") == "" || err != nil || p.Detail == "" || p.TraceID == "" {
		return fmt.Errorf("answer %d %s, Retry-After %q, is not the service's own 503: %.200s",
			a.status, a.header.Get("Content-Type"), a.header.Get("Retry-After"), a.body)
	}
	return nil
}
