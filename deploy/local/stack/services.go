package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/pizza/deploy/local/internal/process"
)

// environment names this stack in log lines and spans.
const environment = "local"

var serviceNames = []string{"login", "menu", "order"}

const (
	// readyTimeout bounds the wait for a started service. A cold laptop that is
	// also building needs a few seconds.
	readyTimeout = time.Minute
	readyPoll    = 5 * time.Millisecond
	// portTries limits the attempts to start a service on new ports when another
	// program takes a port between choice and use.
	portTries = 5
)

// DiedError reports that a service exited without being stopped.
type DiedError struct {
	Service string
	Err     error    // how it exited; nil means status 0
	Tail    []string // its last log lines, oldest first
}

func (e *DiedError) Error() string {
	return fmt.Sprintf("the %s service exited unexpectedly (%s)", e.Service, e.how())
}

func (e *DiedError) how() string {
	if e.Err == nil {
		return "exit status 0"
	}
	return e.Err.Error()
}

func (e *DiedError) Unwrap() error { return e.Err }

// build builds all services in one go build, which shares the work.
func (s *Stack) build(ctx context.Context) error {
	start := time.Now()
	if err := os.MkdirAll(s.options.BinDir, 0o755); err != nil {
		return fmt.Errorf("folder for the built services: %w", err)
	}
	if _, err := os.Stat(filepath.Join(s.options.BinDir, serviceNames[0])); err != nil {
		s.progress("building the services for the first time, which takes a minute or two")
	}
	args := []string{"build", "-o", s.options.BinDir + string(filepath.Separator)}
	for _, name := range serviceNames {
		args = append(args, "./services/"+name+"/cmd/"+name)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.options.Root
	cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(s.options.Root, "go.work"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build the services: %w", context.Cause(ctx))
		}
		return fmt.Errorf("build the services: %w\n%s", err, bytes.TrimSpace(out.Bytes()))
	}
	s.progress("built login, menu and order in %s", seconds(start))
	return nil
}

// startServices starts each service with the settings that it needs.
func (s *Stack) startServices(ctx context.Context) error {
	start := time.Now()
	jwtSecret, err := s.dir.Secrets().Get("jwt_secret")
	if err != nil {
		return err
	}
	adminToken, err := s.dir.Secrets().Get("admin_token")
	if err != nil {
		return err
	}
	if _, err := s.startService(ctx, "login", "JWT_SECRET="+jwtSecret, "ADMIN_TOKEN="+adminToken); err != nil {
		return err
	}
	menu, err := s.startService(ctx, "menu", "ADMIN_TOKEN="+adminToken)
	if err != nil {
		return err
	}
	if _, err := s.startService(ctx, "order", "JWT_SECRET="+jwtSecret, "ADMIN_TOKEN="+adminToken, "MENU_BASE_URL=http://"+menu.Internal); err != nil {
		return err
	}
	s.progress("login, menu and order are ready after %s", seconds(start))
	return nil
}

// startService starts the first process of a service, to which the gateway routes.
func (s *Stack) startService(ctx context.Context, name string, settings ...string) (*Service, error) {
	environ, err := s.environ(name, settings)
	if err != nil {
		return nil, err
	}
	service, err := s.launch(ctx, name, environ)
	if err != nil {
		return nil, err
	}
	s.gateway.SetBackend(name, service.Public)
	return service, nil
}

// Replica starts another process of a service, with the same settings but its
// own addresses. The gateway does not route to it.
func (s *Stack) Replica(ctx context.Context, name string) (*Service, error) {
	return s.launch(ctx, name, s.Service(name).spec.Env)
}

// launch starts one process of a service on free ports, waits until it is
// ready, and keeps it running.
func (s *Stack) launch(ctx context.Context, name string, environ []string) (*Service, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for try := 1; ; try++ {
		addresses, err := freeAddresses(ctx)
		if err != nil {
			return nil, err
		}
		service := &Service{Name: name, Addresses: addresses, spec: process.Spec{
			Name: name, Path: filepath.Join(s.options.BinDir, name), Env: slices.Concat(environ, addresses.settings()),
			Line: func(line []byte) { s.options.Line(name, line) },
		}}
		if err := service.start(); err != nil {
			return nil, err
		}
		s.services = append(s.services, service)
		err = service.waitReady(ctx)
		if err == nil {
			s.kept.Go(func() { s.keep(s.keeping, service) })
			return service, s.writeTargets()
		}
		var died *DiedError
		if try == portTries || !errors.As(err, &died) || !addresses.taken(ctx) {
			return nil, err
		}
		s.services = s.services[:len(s.services)-1]
	}
}

// environ returns the complete environment of a service. Variables set by the
// user (LOG_LEVEL=debug make run) pass through, except those that would let a
// service connect to the database as another role.
func (s *Stack) environ(name string, settings []string) ([]string, error) {
	// Defaults for a laptop; the user's environment overrides them.
	demonstration := []string{
		"CORS_ALLOWED_ORIGINS=*",
		// All requests come from one client here, and load tests use few members.
		// The limits appear in the headers but reject nothing.
		"LOGIN_RATE_PER_ACCOUNT=10000/s", "LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS=10000/s", "LOGIN_RATE_PER_ADDRESS=10000/s",
		"REGISTER_RATE_PER_ACCOUNT=10000/s", "REGISTER_RATE_PER_ADDRESS=10000/s",
		"ORDER_RATE_PER_MEMBER=10000/s", "ORDER_READ_RATE_PER_MEMBER=10000/s",
	}
	environ := slices.DeleteFunc(slices.Concat(demonstration, os.Environ(), s.options.Environ), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "DATABASE_URL=") || strings.HasPrefix(v, "TEST_DATABASE_URL=")
	})
	database, err := s.databaseSettings(name + "_svc")
	if err != nil {
		return nil, err
	}
	environ = append(environ,
		"ENVIRONMENT="+environment,
		"SHUTDOWN_DELAY=0s",                   // no load balancer to wait for
		"TRUSTED_PROXIES=127.0.0.0/8,::1/128", // the gateway, which forwards the client's address
	)
	return slices.Concat(environ, database, s.eventSettings(), settings), nil
}

// waitReady polls the service until it is ready.
func (s *Service) waitReady(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		err := s.ready(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.Process().Done():
			return s.died()
		case <-ctx.Done():
			return fmt.Errorf("the %s service is not ready: %w", s.Name, err)
		}
	}
}

func (s *Service) ready(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Public+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("health: status %d", resp.StatusCode)
	}
	return nil
}

// seconds formats the time since start for display.
func seconds(start time.Time) string { return fmt.Sprintf("%.1f s", time.Since(start).Seconds()) }
