package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"example.com/pizza/pkg/testkit/pgserver"
)

// ours is shared by the tests of this process. It is a global variable because
// tests have nothing else in common: they all start from a testing.TB.
var ours process

// process is the server of a test process.
type process struct {
	mu      sync.Mutex
	running bool // between begin and end
	tried   bool // to connect; a failure is not retried for each test
	err     error
	cluster *cluster
	server  *pgserver.Server // nil with TEST_DATABASE_URL
}

func (p *process) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
}

// connect returns the server, and starts it if necessary.
func (p *process) connect(ctx context.Context) (*cluster, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		// Without Main, the server would never be stopped.
		return nil, errors.New("this package needs func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	if !p.tried {
		p.tried = true
		p.cluster, p.err = p.open(ctx)
	}
	return p.cluster, p.err
}

func (p *process) open(ctx context.Context) (*cluster, error) {
	// Not os.Getenv, which go test logs: results would never be taken from its cache,
	// because each run has a server of its own.
	address, _ := syscall.Getenv("TEST_DATABASE_URL")
	if address == "" {
		server, err := pgserver.Start(ctx, pgserver.Options{Settings: pgserver.TestSettings(), Log: os.Stderr})
		if err != nil {
			return nil, fmt.Errorf("start a server: %w", err)
		}
		p.server = server
		address = server.URL("postgres")
	}
	return openCluster(ctx, address)
}

// end closes all connections and stops the server.
func (p *process) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = false
	if p.cluster != nil {
		p.cluster.close()
	}
	if p.server != nil {
		return p.server.Stop()
	}
	return nil
}
