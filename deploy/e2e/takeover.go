package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/pizza/deploy/takeover/monolith"
	"example.com/pizza/pkg/pgurl"
)

const takenOver = "taken over path by path"

// keepPasswords keeps what the old system reads, as long as both sides log members in.
var keepPasswords = []string{"--set", "login.config.PASSWORD_UPGRADE=off"}

// takeOver starts a stand-in for the old system on this machine, with the database and the
// signing key of the release. While its members order, the paths move to the services.
func (e *experiment) takeOver(ctx context.Context) error {
	pool, err := pgurl.NewPool(ctx, e.database.url())
	if err != nil {
		return err
	}
	defer pool.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(e.settings.Host, "0"))
	if err != nil {
		return fmt.Errorf("listen for pods (E2E_HOST): %w", err)
	}
	old := &monolith.StandIn{DB: pool, Secret: []byte(e.key)}
	serving := &http.Server{Handler: old.Handler(), ReadHeaderTimeout: time.Minute}
	server := &httptest.Server{Listener: listener, Config: serving}
	server.Start()
	defer server.Close()
	values, err := e.takeoverValues(ctx, listener.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return err
	}
	if err := e.install(ctx, tagAfter, values...); err != nil {
		return err
	}
	if err := e.customers.become(ctx, server.URL); err != nil {
		return err
	}
	err = e.suffer(ctx, scenario{name: takenOver, disturb: func(ctx context.Context, s *system) error {
		return s.shiftPaths(ctx, old, values)
	}})
	e.say("the old system has answered %v", old.Answered())
	return err
}

// takeoverValues returns arguments for helm: the stand-in, and the Ingress controller that serves
// the release, by the default class.
func (s *system) takeoverValues(ctx context.Context, port int) ([]string, error) {
	const isDefault = `@.metadata.annotations.ingressclass\.kubernetes\.io/is-default-class=="true"`
	class, err := s.kubectl(ctx, "get", "ingressclasses", "-o", "jsonpath={.items[?("+isDefault+")].spec.controller}")
	controller := "nginx"
	if class == "traefik.io/ingress-controller" {
		controller = "traefik"
	}
	return slices.Concat(keepPasswords, []string{
		"--set", "takeover.controller=" + controller, "--set", "takeover.legacy.addresses={" + s.settings.Host + "}",
		"--set", "takeover.legacy.port=" + strconv.Itoa(port),
	}), err
}

// become makes the customers members of the old system, who register and log in there.
func (c *customers) become(ctx context.Context, oldSystem string) error {
	old := newCustomers(oldSystem, c.host, c.rate)
	defer old.kept.CloseIdleConnections()
	old.prefix = c.prefix + "old-"
	err := old.arrive(ctx)
	c.prefix, c.tokens = old.prefix, old.tokens
	return err
}

// shiftPaths turns the takeover on, moves one path after the other to the services, with a step
// back, and turns the takeover off.
func (s *system) shiftPaths(ctx context.Context, old *monolith.StandIn, values []string) error {
	all, err := s.pods(ctx, "")
	if err != nil {
		return err
	}
	before := slices.DeleteFunc(all, func(p pod) bool { return p.Metadata.DeletionTimestamp != nil })
	weights := map[string]int{"login": 0, "menu": 0, "order": 0}
	for _, shift := range []struct {
		path   string
		weight int
	}{
		{"login", 0}, {"login", 10}, {"login", 50}, {"login", 100}, {"menu", 10}, {"menu", 50}, {"menu", 100},
		{"order", 10}, {"order", 50}, {"order", 0}, {"order", 50}, {"order", 100},
	} {
		weights[shift.path] = shift.weight
		args := append(slices.Clone(values), "--set", "takeover.enabled=true")
		for path, weight := range weights {
			args = append(args, "--set", fmt.Sprintf("takeover.weights.%s=%d", path, weight))
		}
		if err := s.shift(ctx, before, weights, 0, args); err != nil {
			return err
		}
	}
	if err := s.shift(ctx, before, weights, 100, keepPasswords); err != nil {
		return err
	}
	seen := old.Answered()
	pause(ctx, s.settings.Calm)
	if now := old.Answered(); !maps.Equal(seen, now) {
		return fmt.Errorf("the old system is still asked: it had answered %v, and now %v", seen, now)
	}
	return nil
}

// shift upgrades the release, and waits until the services answer the percentages of the paths. No pod
// may be replaced. never is the percentage of requests that decline the services.
func (s *system) shift(ctx context.Context, before []pod, weights map[string]int, never int, args []string) error {
	if err := s.install(ctx, tagAfter, args...); err != nil {
		return err
	}
	what := fmt.Sprintf("the services answer %v percent", weights)
	err := wait(ctx, what, 30*time.Second, func(ctx context.Context) (bool, error) {
		var bad []error
		for path, weight := range weights {
			bad = append(bad, s.compare(ctx, path, "", weight),
				s.compare(ctx, path, "always", 100), s.compare(ctx, path, "never", never))
		}
		err := errors.Join(bad...)
		return err == nil, err
	})
	return errors.Join(err, s.stillReady(ctx, before), s.readTraffic(ctx, weights))
}

// readTraffic checks that the command traffic reads these percentages from the cluster.
func (s *system) readTraffic(ctx context.Context, weights map[string]int) error {
	command := filepath.Join(s.root, ".local", "bin", "traffic")
	out, err := s.run(ctx, "", command, "--namespace", s.namespace, "--json")
	if err != nil {
		return err
	}
	var report struct {
		Paths []struct {
			Path     string
			Services struct{ Percent int }
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return err
	}
	read := map[string]int{}
	for _, p := range report.Paths {
		read[strings.TrimPrefix(p.Path, "/")] = p.Services.Percent
	}
	if !maps.Equal(read, weights) {
		return fmt.Errorf("traffic reads that the services answer %v percent, want %v", read, weights)
	}
	return nil
}

// compare sends requests to a path, and returns an error if the services answer other than the
// wanted percentage of them. By a weight, an Ingress controller may draw lots.
func (s *system) compare(ctx context.Context, path, preference string, want int) error {
	const requests, tolerance = 200, 12
	n := requests
	if preference != "" {
		n = 10
	}
	services := 0
	for range n {
		byServices, err := s.customers.askServices(ctx, path, preference)
		if err != nil {
			return err
		}
		if byServices {
			services++
		}
	}
	logged(s.log, "%s %s: %d of %d by the services", path, preference, services, n)
	off := math.Abs(100*float64(services)/float64(n) - float64(want))
	if off > tolerance || off > 0 && (want == 0 || want == 100) {
		return fmt.Errorf("%s: the services answer %d of %d requests with the header %q, want %d percent",
			path, services, n, preference, want)
	}
	return nil
}

// askServices sends a request that both sides answer alike, and reports whether the services have answered.
func (c *customers) askServices(ctx context.Context, path, preference string) (bool, error) {
	known := map[string]string{"login": "/api/login/", "menu": "/api/menu/", "order": "/api/order/branch/"}[path]
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+known, http.NoBody)
	if err != nil {
		return false, err
	}
	r.Host = c.host
	if preference != "" {
		r.Header.Set("X-Pizza-Services", preference)
	}
	res, err := c.kept.Do(r)
	if err != nil {
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	if want := landmarks()[known]; res.StatusCode != want {
		err = fmt.Errorf("GET %s: answer %d, want %d", known, res.StatusCode, want)
	}
	_, reading := io.Copy(io.Discard, res.Body) // so that the connection is kept
	return res.Header.Get(monolith.ServedBy) == "", errors.Join(err, reading)
}
