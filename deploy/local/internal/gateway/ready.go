package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// The values match the readiness probe of the charts (helm/service), so that
// clients see the same behavior as in a cluster.
const (
	probePeriod      = 2 * time.Second
	probeTimeout     = time.Second
	failureThreshold = 2
)

// UnreadyAfter is the maximum time until an unready backend gets no more
// requests.
const UnreadyAfter = failureThreshold * (probePeriod + probeTimeout)

// backend is one process of a service.
type backend struct {
	name    string
	address atomic.Pointer[url.URL] // nil before it has started
	ready   atomic.Bool

	failures int // consecutive failed probes; used only by Watch
}

// Watch probes the backends until ctx ends. A backend that fails
// failureThreshold consecutive probes gets no requests until a probe succeeds.
func (g *Gateway) Watch(ctx context.Context) {
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	var watching sync.WaitGroup
	for _, b := range g.backends {
		watching.Go(func() {
			for tick := time.Tick(probePeriod); ; {
				select {
				case <-tick:
					g.check(ctx, client, b)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	watching.Wait()
}

// check probes one backend once.
func (g *Gateway) check(ctx context.Context, client *http.Client, b *backend) {
	address := b.address.Load()
	if address == nil {
		return
	}
	err := probe(ctx, client, address)
	if ctx.Err() != nil || b.address.Load() != address { // another process has replaced it
		b.failures = 0
		return
	}
	if err == nil {
		b.failures = 0
		if !b.ready.Swap(true) {
			g.log.InfoContext(ctx, "backend is ready", "backend", b.name)
		}
		return
	}
	b.failures++
	if b.failures >= failureThreshold && b.ready.Swap(false) {
		g.log.WarnContext(ctx, "backend is not ready", "backend", b.name, "error", err)
	}
}

// probe fails unless the backend is ready.
func probe(ctx context.Context, client *http.Client, address *url.URL) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.JoinPath("/healthz").String(), nil)
	if err != nil {
		return fmt.Errorf("readiness probe: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("readiness probe: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("readiness probe: %w", err)
	}
	// Kubernetes accepts any status from 200 to 399 as success.
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("readiness probe: status %d", resp.StatusCode)
	}
	return nil
}
