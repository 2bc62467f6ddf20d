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

// environment is what log lines and spans call this stack.
const environment = "local"

var serviceNames = []string{"login", "menu", "order"}

const (
	// readyTimeout bounds the wait for a started service. A cold laptop under a
	// build needs a few seconds.
	readyTimeout = time.Minute
	readyPoll    = 20 * time.Millisecond
	// portTries is how often a service is started at other ports when another
	// program takes one between the choice and its use.
	portTries = 5
)

// DiedError says that a service ended though nobody stopped it.
type DiedError struct {
	Service string
	Err     error    // how it ended; nil is exit status 0
	Tail    []string // its last log lines, oldest first
}

func (e *DiedError) Error() string {
	return fmt.Sprintf("the %s service ended by itself (%s)", e.Service, e.how())
}

func (e *DiedError) how() string {
	if e.Err == nil {
		return "exit status 0"
	}
	return e.Err.Error()
}

func (e *DiedError) Unwrap() error { return e.Err }

// build builds the services, all in one go build, which shares the work.
func (s *Stack) build(ctx context.Context) error {
	start := time.Now()
	if err := os.MkdirAll(s.options.BinDir, 0o755); err != nil {
		return fmt.Errorf("folder for the built services: %w", err)
	}
	if _, err := os.Stat(filepath.Join(s.options.BinDir, serviceNames[0])); err != nil {
		s.progress("building the services for the first time, which takes a minute or two")
	}
	args := append([]string{"build", "-o", s.options.BinDir + string(filepath.Separator)}, s.options.BuildFlags...)
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

// startServices is the wiring of the system: who gets which setting.
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

// Replica starts one more process of a service, with the same settings at
// addresses of its own. The gateway does not route to it.
func (s *Stack) Replica(ctx context.Context, name string) (*Service, error) {
	return s.launch(ctx, name, s.Service(name).spec.Env)
}

// launch starts one process of a service at free ports, waits until it is ready
// to serve, and keeps it running.
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

// environ returns the whole environment of a service. What the user has set
// (LOG_LEVEL=debug make run) passes through, except what would let a service
// reach the database in another way than by its own role.
func (s *Stack) environ(name string, settings []string) ([]string, error) {
	// What suits a laptop, unless the user says otherwise.
	demonstration := []string{
		"CORS_ALLOWED_ORIGINS=*",
		// All are one client here, and load tests are a few members: the limits show
		// themselves in the headers, and refuse nobody.
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
		"SHUTDOWN_DELAY=0s",                   // no load balancer has to notice
		"TRUSTED_PROXIES=127.0.0.0/8,::1/128", // the gateway, which says who its client is
	)
	return slices.Concat(environ, database, s.eventSettings(), settings), nil
}

// waitReady asks the service until it is ready to serve.
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

// seconds returns the time since start for a person.
func seconds(start time.Time) string { return fmt.Sprintf("%.1f s", time.Since(start).Seconds()) }
